package collector

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"
	"unicode"
)

// maxLabelLength is the longest label value that is published, in characters.
const maxLabelLength = 256

// labelValue makes the API's text fit for a label: valid UTF-8 without control
// characters and marks that change the direction of writing, and not too long.
func labelValue(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
	if len(text) <= maxLabelLength {
		return text
	}
	if runes := []rune(text); len(runes) > maxLabelLength {
		return string(runes[:maxLabelLength])
	}
	return text
}

// incidentID makes an incident's ID fit for a label. An ID that has to be changed
// keeps a digest of the original: otherwise two incidents could become one.
func incidentID(id string) string {
	label := labelValue(id)
	if label != id {
		label += fmt.Sprintf("-%.4x", sha256.Sum256([]byte(id)))
	}
	return label
}

// pageURL is the address if a browser can open it, else empty.
func pageURL(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || labelValue(address) != address {
		return ""
	}
	return address
}
