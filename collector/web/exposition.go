package web

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"golang.org/x/sync/singleflight"
)

const (
	// maxWriting is how long a client may take to read a part of an exposition,
	// or its scrape timeout if that is shorter.
	maxWriting = 30 * time.Second
	// maxReading is how long a client may take to read all of it.
	maxReading = 5 * time.Minute
	partSize   = 64 << 10
)

// expositions encodes the answers to scrapes, one at a time, since gathering a
// registry takes far more memory than the encoded bytes.
type expositions struct {
	handler http.Handler
	flight  singleflight.Group
	making  chan struct{} // holds one while an exposition is made
}

// of returns the answer to a scrape. Scrapes that wait for the same format share
// one; it is made after they arrived, so it is current for each of them.
func (e *expositions) of(r *http.Request) *exposition {
	format := fmt.Sprintf("%q", [][]string{r.Header["Accept"], r.Header["Accept-Encoding"], r.URL.Query()["name[]"]})
	shared, _, _ := e.flight.Do(format, func() (any, error) {
		e.making <- struct{}{}
		defer func() { <-e.making }()
		e.flight.Forget(format) // later scrapes wait for the next one
		answer := &exposition{code: http.StatusOK, header: http.Header{}}
		e.handler.ServeHTTP(answer, r)
		return answer, nil
	})
	return shared.(*exposition)
}

// exposition is an answer, kept while it is written to its clients.
type exposition struct {
	code   int
	header http.Header
	parts  [][]byte
	size   int
}

func (e *exposition) Header() http.Header  { return e.header }
func (e *exposition) WriteHeader(code int) { e.code = code }

func (e *exposition) Write(text []byte) (int, error) {
	for rest := text; len(rest) > 0; {
		if e.size%partSize == 0 {
			e.parts = append(e.parts, make([]byte, 0, partSize))
		}
		last := &e.parts[len(e.parts)-1]
		n := min(len(rest), partSize-len(*last))
		*last, rest = append(*last, rest[:n]...), rest[n:]
		e.size += n
	}
	return len(text), nil
}

// send writes the answer for as long as the client keeps reading: a client that
// does not must not keep its place for long.
func (e *exposition) send(w http.ResponseWriter, r *http.Request, patience time.Duration, logger log.Logger) {
	maps.Copy(w.Header(), e.header)
	w.Header().Set("Content-Length", strconv.Itoa(e.size))
	w.WriteHeader(e.code)
	control := http.NewResponseController(w)
	latest := time.Now().Add(maxReading)
	deadline, sent := latest, 0
	var err error
	for _, part := range e.parts {
		deadline = time.Now().Add(min(patience, maxWriting, time.Until(latest)))
		_ = control.SetWriteDeadline(deadline)
		var n int
		n, err = w.Write(part)
		sent += n
		if err != nil {
			break
		}
	}
	if err == nil {
		err = control.Flush()
	}
	if err != nil && !time.Now().Before(deadline) { // HTTP/2 has an error of its own
		level.Warn(logger).Log("msg", "scrape aborted, the client reads too slowly", "client", r.RemoteAddr, "sent", sent, "size", e.size)
	}
}
