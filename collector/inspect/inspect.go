// Package inspect answers questions from before there are metrics: which tenants
// the key sees, and why there is no data. It makes one request per route and prints
// what it found; it is separate from the exporter, keeps nothing, and prints no key.
package inspect

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
)

// Options are what both commands need to know.
type Options struct {
	ConfigFile string                         // may be empty
	Load       func() (*config.Config, error) // reads it
	Version    string                         // goes into the User-Agent
}

// newClient returns a client that makes at most one request of each route, and
// calls observe with it.
func (o Options) newClient(cfg *config.Config, observe func(petra.Request)) (*petra.Client, error) {
	budgets := map[petra.Route]*petra.Budget{}
	for _, route := range petra.Routes() {
		budgets[route] = petra.NewBudget(1)
	}
	return petra.NewClient(petra.ClientConfig{
		URL: cfg.API.URL, HTTP: cfg.API.HTTP, Key: cfg.API.Key, Timeout: cfg.API.Timeout,
		Version: o.Version, Budgets: budgets, Observe: observe,
	})
}

// nameTheKey is what to do where there is no usable key.
const nameTheKey = "name it with --petra.api-key-file, api.authorization.credentials_file or PETRA_API_KEY"

// maxShown is how much of a text from elsewhere is shown, in characters.
const maxShown = 256

// printable makes text from elsewhere fit for a terminal and for one line: it
// has no control character, line break or mark that turns the direction of
// writing, and is not too long.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > maxShown {
		text = string(runes[:maxShown]) + "..."
	}
	return text
}

// path is where a route's requests go, for a person to read.
func path(route petra.Route) string { return "/v1/" + string(route) }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
