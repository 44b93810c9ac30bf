package petra

import (
	"fmt"
	"regexp"
	"strings"
)

// secretMark replaces a secret.
const secretMark = "<secret>"

// shortestPart is how much of a key is taken for a part of it, in bytes.
const shortestPart = 8

var htmlNames = map[byte]string{'"': "&quot;", '\'': "&apos;", '&': "&amp;", '<': "&lt;", '>': "&gt;"}

// redact takes secrets out of text in which the API or a proxy may echo them:
// in any form in which programs escape their characters, and in part, since an
// answer can break off.
func redact(text string, secrets []string) string {
	for _, secret := range secrets {
		text = redactOne(text, secret)
	}
	return text
}

func redactOne(text, key string) string {
	text = escapedKey(key).ReplaceAllString(text, secretMark)
	var kept strings.Builder
	for rest := text; rest != ""; {
		n := shortestPart
		for n <= len(rest) && strings.Contains(key, rest[:n]) {
			n++
		}
		if n--; n < shortestPart {
			kept.WriteByte(rest[0])
			rest = rest[1:]
			continue
		}
		kept.WriteString(secretMark)
		rest = rest[n:]
	}
	return kept.String()
}

// escapedKey matches the key, each character as it is or as an escape of JSON,
// URLs or HTML.
func escapedKey(key string) *regexp.Regexp {
	var pattern strings.Builder
	for _, c := range []byte(key) {
		fmt.Fprintf(&pattern, `(?:\\*%s|(?i:%%%02x|\\+u00%02x|\\+x%02x|&#0*%d;|&#x0*%x;)`, regexp.QuoteMeta(string(c)), c, c, c, c, c)
		if name := htmlNames[c]; name != "" {
			pattern.WriteString("|" + name)
		}
		pattern.WriteString(")")
	}
	return regexp.MustCompile(pattern.String())
}

// rewordedError is an error with another text.
type rewordedError struct {
	error
	text string
}

func (e *rewordedError) Error() string { return e.text }

func (e *rewordedError) Unwrap() error { return e.error }

// redactError removes secrets from an error's text: net/http repeats the part of an
// answer that it could not parse.
func redactError(err error, secrets []string) error {
	if err == nil {
		return nil
	}
	if text := redact(err.Error(), secrets); text != err.Error() {
		return &rewordedError{err, text}
	}
	return err
}
