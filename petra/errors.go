package petra

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// The failures that a caller distinguishes with [errors.Is]; [Kind] classifies all.
var (
	// ErrUnauthorized: the API answered 401; the key is missing, wrong or deleted.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden: the API answered 403.
	ErrForbidden = errors.New("forbidden")
	// ErrNotFound: the API answered 404.
	ErrNotFound = errors.New("not found")
	// ErrRateLimited: the API answered 429; the [StatusError] has the wait.
	ErrRateLimited = errors.New("rate limited")
	// ErrRedirect: the API answered with a redirect, which is never followed,
	// since the key must reach no other host.
	ErrRedirect = errors.New("redirect")
	// ErrProxy: the proxy was reached and does not connect to the API.
	ErrProxy = errors.New("refused by the proxy")
	// ErrUndecodable: the answer was not what the API documents.
	ErrUndecodable = errors.New("undecodable answer")
	// ErrTooLarge: the answer was larger than [MaxAnswerBytes].
	ErrTooLarge = errors.New("answer too large")
	// ErrNoBudget: no request is free, or the route waits as the API asked; nothing was sent.
	ErrNoBudget = errors.New("no request free")
	// ErrKey: the API key is missing, empty or unreadable; nothing was sent.
	ErrKey = errors.New("no usable API key")
)

// StatusError is an answer with a status other than 200.
type StatusError struct {
	Code int
	// Body is the start of the answer's body for a person to read: at most
	// 200 characters, without the key and without mail addresses. Its form is
	// not documented.
	Body string
	// Wait is how long the answer closes the route, between 1 s and [MaxWait]:
	// always after a 429, after a 503 only where it names a wait. It is 0 for
	// every other status.
	Wait time.Duration
	// Asked is the wait that the API named, where it was longer than MaxWait.
	Asked time.Duration
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("status %d %s", e.Code, http.StatusText(e.Code))
	switch {
	case e.Asked > 0:
		text += fmt.Sprintf(" (asked to wait %s, waiting %s)", e.Asked, e.Wait)
	case e.Wait > 0:
		text += fmt.Sprintf(" (waiting %s)", e.Wait)
	}
	if e.Body != "" {
		text += fmt.Sprintf(": %q", e.Body)
	}
	return text
}

// Is reports whether target stands for the status.
func (e *StatusError) Is(target error) bool {
	switch target {
	case ErrUnauthorized:
		return e.Code == http.StatusUnauthorized
	case ErrForbidden:
		return e.Code == http.StatusForbidden
	case ErrNotFound:
		return e.Code == http.StatusNotFound
	case ErrRateLimited:
		return e.Code == http.StatusTooManyRequests
	case ErrRedirect:
		return e.Code >= 300 && e.Code < 400
	}
	return false
}

// plainError removes what differs each time, the local port, and explains an
// unexpected end of file.
func plainError(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the connection ended without an answer: %w", err)
	}
	if onConn, ok := errors.AsType[*net.OpError](err); ok && onConn.Op != "dial" {
		return &rewordedError{err, fmt.Sprintf("%s: %v", onConn.Op, onConn.Err)}
	}
	return err
}
