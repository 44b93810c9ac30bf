package petra

import (
	"cmp"
	"io"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// The wait after a 429, or a 503 that names one: MaxWait is the longest wait that is
// honored, defaultWait applies to a 429 that names none.
const (
	MaxWait     = 10 * time.Minute
	defaultWait = time.Minute
)

const (
	maxErrorBody  = 64 << 10 // bytes of an error's body that are looked at
	maxErrorShown = 200      // characters of it that are kept
)

// newStatusError returns the error for the status and headers of an answer.
func newStatusError(resp *http.Response) *StatusError {
	e := &StatusError{Code: resp.StatusCode}
	switch e.Code {
	case http.StatusTooManyRequests:
		e.Wait = cmp.Or(askedWait(resp.Header, apiClock(resp)), defaultWait)
	case http.StatusServiceUnavailable:
		e.Wait = askedWait(resp.Header, apiClock(resp))
	}
	if e.Wait > MaxWait {
		e.Wait, e.Asked = MaxWait, e.Wait
	}
	return e
}

// readBody adds the start of the body, in which the API may echo the key. An
// incomplete body is used too.
func (e *StatusError) readBody(body io.Reader, secrets []string) {
	content, _ := io.ReadAll(io.LimitReader(body, maxErrorBody))
	e.Body = errorText(string(content), secrets)
}

// mailAddress matches an address, its @ as it is or as an escape of URLs, JSON
// or HTML.
var mailAddress = regexp.MustCompile(`(?i)[\p{L}\p{N}.!#$%'*+^_{|}~-]+(?:@|%40|\\+u0040|&#0*64;|&#x0*40;)[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+`)

// errorText is the part of an error's body that a person is shown. Secrets and
// addresses are removed before the text is shortened: half a key would not be found.
func errorText(text string, secrets []string) string {
	text = mailAddress.ReplaceAllString(redact(text, secrets), "<address>")
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > maxErrorShown {
		text = string(runes[:maxErrorShown])
	}
	return text
}

// askedWait is the wait that an answer names, rounded up to whole seconds; 0 if it
// names none in the future.
func askedWait(h http.Header, now time.Time) time.Duration {
	for _, name := range []string{"Retry-After-public-api", "Retry-After"} {
		value := strings.TrimSpace(h.Get(name))
		if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds > 0 && !math.IsInf(seconds, 1) {
			return wholeSeconds(seconds)
		}
		if at, err := http.ParseTime(value); err == nil && at.After(now) {
			return wholeSeconds(at.Sub(now).Seconds())
		}
	}
	return 0
}

// wholeSeconds rounds up, and limits what a duration cannot represent.
func wholeSeconds(seconds float64) time.Duration {
	return time.Duration(math.Ceil(min(seconds, math.MaxInt32))) * time.Second
}
