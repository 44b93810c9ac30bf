package web

// What docs/reliability.md says of clients.
const (
	MaxConnections = maxConnections
	MaxWriting     = maxWriting
	MaxReading     = maxReading
)
