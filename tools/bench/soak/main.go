// Soak runs the binary for a while against a simulated API that fails at
// random, under many scrapers at once, reloads and changes of the key. It fails
// unless every scrape is answered in time and memory, goroutines and file
// descriptors level off.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

const (
	tenants  = 40
	scrapers = 50
	// A scraper waits for scrapeTimeout, and the exporter answers half of it
	// before: the rest is for a busy machine.
	scrapeTimeout = 30 * time.Second
	timeoutOffset = scrapeTimeout / 2
	stopWithin    = 30 * time.Second
	// A run of any length has leastRounds: a fault may keep all scrapes of a round
	// waiting for as long as a short run lasts.
	leastRounds = 8
)

func main() {
	length := flag.Duration("for", 20*time.Second, "how long")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "of all that is random")
	flag.Parse()
	if flag.NArg() != 1 || *length < 10*time.Second {
		fmt.Fprintln(os.Stderr, "usage: soak [-for 30m] [-seed N] BINARY, for at least 10s")
		os.Exit(2)
	}
	fmt.Printf("soak: %s, seed %d\n", *length, *seed)
	if err := run(flag.Arg(0), *length, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
	fmt.Println("soak: good")
}

func run(binary string, length time.Duration, seed uint64) error {
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	org := petratest.Random(seed, petratest.RandomConfig{Start: time.Now(), Tenants: tenants, Incidents: 3000, Open: 60, OldOpen: 20, Every: 10 * time.Second})
	api := petratest.NewAPI(org, petratest.Options{Limit: -1})
	server, err := petratest.NewServer(api)
	if err != nil {
		return err
	}
	defer server.Close()

	c := &chaos{
		api: api, random: rand.New(rand.NewPCG(seed, 1)), struck: map[petratest.FaultKind]int{},
		config: filepath.Join(dir, "petra.yml"), keyFile: filepath.Join(dir, "key"), apiURL: server.URL,
	}
	if err := errors.Join(c.writeConfig(), c.writeKey(firstKey)); err != nil {
		return err
	}
	api.SetKeys(firstKey)
	args := []string{
		"--config.file=" + c.config, "--petra.api-key-file=" + c.keyFile, "--state.file=" + filepath.Join(dir, "state.json"),
		"--web.listen-address=127.0.0.1:0", "--web.enable-lifecycle", fmt.Sprintf("--web.max-requests=%d", 2*scrapers), "--scrape.timeout-offset=" + timeoutOffset.String(),
	}
	// It makes no full reads for a minute, unless it knows what the process
	// before it has spent.
	before, err := launch(binary, args...)
	if err != nil {
		return err
	}
	if err := before.stop(); err != nil {
		return err
	}
	e, err := launch(binary, args...)
	if err != nil {
		return err
	}
	defer e.Process.Kill() //nolint:errcheck // it may have ended
	c.url, c.process = e.url, e.Process

	s := newSoak(e.url, seed)
	stop := make(chan struct{})
	var beside sync.WaitGroup
	beside.Go(func() { c.run(stop) })
	end := time.Now().Add(length)
	for n := 0; n < leastRounds || time.Now().Before(end); n++ {
		s.round()
	}
	close(stop)
	beside.Wait()

	return errors.Join(e.stop(), s.report(os.Stdout), c.report(os.Stdout))
}
