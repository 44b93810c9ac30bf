package petratest

import (
	"strconv"
	"time"
)

// Bounds of the limit parameter.
const (
	defaultLimit = 100
	maxLimit     = 500
)

type parameters struct {
	tenantID string
	since    time.Time // zero: all
	limit    int
}

// parseParameters reads limit and startDate; problem says why they are no good.
// An empty parameter is taken as left out.
func parseParameters(r *Request) (p parameters, problem string) {
	p.limit = defaultLimit
	if r.Limit != "" {
		n, err := strconv.Atoi(r.Limit)
		if err != nil || n < 1 || n > maxLimit {
			return p, "limit must be an integer from 1 to 500"
		}
		p.limit = n
	}
	if r.StartDate != "" {
		since, ok := parseISO8601(r.StartDate)
		if !ok {
			return p, "startDate must be an ISO 8601 date or date-time"
		}
		p.since = since
	}
	return p, ""
}

// parseISO8601 takes a date or a date-time; without a zone it is UTC.
func parseISO8601(s string) (time.Time, bool) {
	for _, layout := range []string{
		time.DateOnly, time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
