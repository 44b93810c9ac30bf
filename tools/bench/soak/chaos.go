package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

const (
	firstKey = "soak-key-0"
	// The whole organization is read often, so that many requests meet a fault.
	goodConfig = `api: {url: %s, requests_per_minute: 600, timeout: 20s}
max_open_incidents: %d
native_histograms: %t
`
	badConfig    = "max_staleness: soon\n"
	reloadEvery  = 5 * time.Second
	rotateEvery  = 11 * time.Second
	longestFault = 8 * time.Second
)

// chaos is what happens to the exporter from all sides.
type chaos struct {
	api             *petratest.API
	random          *rand.Rand
	url, apiURL     string
	config, keyFile string
	process         *os.Process

	struck                     map[petratest.FaultKind]int
	good, bad, hangups, rotate int
	errs                       []error
}

// run lets it happen until stop is closed.
func (c *chaos) run(stop <-chan struct{}) {
	reload, rotate, fault := time.NewTicker(reloadEvery), time.NewTicker(rotateEvery), time.NewTimer(0)
	defer reload.Stop()
	defer rotate.Stop()
	defer fault.Stop()
	failing := false
	for {
		select {
		case <-stop:
			return
		case <-reload.C:
			c.reload()
		case <-rotate.C:
			c.rotateKey()
		case <-fault.C:
			failing = !failing
			if failing {
				c.strike()
			} else {
				c.api.ClearFault()
			}
			fault.Reset(time.Duration(c.random.Int64N(int64(longestFault))))
		}
	}
}

// strike sets a fault for some of the requests.
func (c *chaos) strike() {
	kinds := petratest.FaultKinds()
	kind := kinds[c.random.IntN(len(kinds))]
	match := []func(petratest.Request) bool{nil, petratest.IsOrgRead, petratest.IsFullRead, petratest.IsTenants}[c.random.IntN(4)]
	c.struck[kind]++
	// A 429 without a header would end all requests for a minute.
	c.api.SetFault(petratest.Fault{Kind: kind, Match: match, RetryHeader: "Retry-After", RetryValue: "2"})
}

// reload does so by HTTP or with a signal, every fourth time with a bad
// configuration, which must be refused.
func (c *chaos) reload() {
	bad := c.random.IntN(4) == 0
	if err := c.writeConfig(); err != nil {
		c.errs = append(c.errs, err)
		return
	}
	want := http.StatusOK
	if bad {
		want = http.StatusInternalServerError
		if err := os.WriteFile(c.config, []byte(badConfig), 0o600); err != nil {
			c.errs = append(c.errs, err)
			return
		}
		c.bad++
	} else {
		c.good++
	}
	if c.random.IntN(2) == 0 {
		c.hangups++
		if err := c.process.Signal(syscall.SIGHUP); err != nil {
			c.errs = append(c.errs, err)
		}
		return
	}
	client := http.Client{Timeout: scrapeTimeout}
	response, err := client.Post(c.url+"/-/reload", "", nil)
	if err != nil {
		c.errs = append(c.errs, err)
		return
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != want {
		c.errs = append(c.errs, fmt.Errorf("a reload is answered with %d, want %d: %s", response.StatusCode, want, body))
	}
}

func (c *chaos) writeConfig() error {
	return replaceFile(c.config, fmt.Sprintf(goodConfig, c.apiURL, 1+c.random.IntN(500), c.random.IntN(2) == 0))
}

func (c *chaos) writeKey(key string) error { return replaceFile(c.keyFile, key+"\n") }

// rotateKey changes the key in the API and in the file, in either order: for a
// while both are good, or neither.
func (c *chaos) rotateKey() {
	old := fmt.Sprintf("soak-key-%d", c.rotate)
	c.rotate++
	fresh := fmt.Sprintf("soak-key-%d", c.rotate)
	if c.random.IntN(2) == 0 {
		c.api.SetKeys(old, fresh)
	} else {
		c.api.SetKeys(fresh)
		time.Sleep(time.Second)
	}
	if err := c.writeKey(fresh); err != nil {
		c.errs = append(c.errs, err)
	}
	c.api.SetKeys(fresh)
}

// replaceFile writes a file beside and renames it: nobody reads half of it.
func replaceFile(file, content string) error {
	if err := os.WriteFile(file+".new", []byte(content), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

func (c *chaos) report(w io.Writer) error {
	faults, total := make([]string, 0, len(c.struck)), 0
	for _, kind := range slices.Sorted(maps.Keys(c.struck)) {
		faults = append(faults, fmt.Sprintf("%s %d", kind, c.struck[kind]))
		total += c.struck[kind]
	}
	answers := map[int]int{}
	for _, r := range c.api.Requests() {
		answers[r.Status]++
	}
	fmt.Fprintf(w, "faults: %d (%s)\n", total, strings.Join(faults, ", "))
	fmt.Fprintf(w, "reloads: %d good, %d bad, %d of them by SIGHUP; keys: %d changes\n", c.good, c.bad, c.hangups, c.rotate)
	fmt.Fprintf(w, "the API's last answers by status, 0 for none: %v\n", answers)
	return errors.Join(c.errs...)
}
