package statuspage

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var pictures = flag.String("pictures", "", "folder to write pictures of the page to")

// browser is a tab of a Chromium without a window.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	loaded []string // addresses
	errors []string // what the console says, violations of the policy too
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("there is no chromium: apt install chromium fonts-dejavu-core")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-background-networking", true), chromedp.WSURLReadTimeout(2*time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	chromedp.ListenTarget(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			b.loaded = append(b.loaded, e.Request.URL)
		case *cdplog.EventEntryAdded:
			b.errors = append(b.errors, e.Entry.Text)
		case *runtime.EventExceptionThrown:
			b.errors = append(b.errors, e.ExceptionDetails.Error())
		}
	})
	b.do(network.Enable(), cdplog.Enable())
	return b
}

func (b *browser) do(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// value is what a script yields.
func value[T any](b *browser, script string) (v T) {
	b.t.Helper()
	b.do(chromedp.Evaluate(script, &v))
	return v
}

// open opens the page in a window of this size.
func (b *browser) open(url string, width, height int64, scheme string) {
	b.t.Helper()
	b.do(
		emulation.SetDeviceMetricsOverride(width, height, 1, false),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
		chromedp.Navigate(url),
	)
}

// picture writes what the window shows, if pictures are wanted.
func (b *browser) picture(name string) {
	b.t.Helper()
	if *pictures == "" {
		return
	}
	var png []byte
	b.do(chromedp.CaptureScreenshot(&png))
	if err := os.WriteFile(filepath.Join(*pictures, name+".png"), png, 0o644); err != nil { //nolint:gosec // to be looked at
		b.t.Fatal(err)
	}
}

// violation is a rule of axe-core that the page breaks.
type violation struct {
	ID, Help string
	Nodes    []struct{ HTML, FailureSummary string }
}

// checkAccess has axe-core look for what keeps people out.
func (b *browser) checkAccess() {
	b.t.Helper()
	axe, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		b.t.Fatalf("%v: run npm ci in tools/statuspage", err)
	}
	var result string
	b.do(
		chromedp.Evaluate(string(axe)+"; 0", nil),
		chromedp.Evaluate(`axe.run().then((r) => JSON.stringify({passes: r.passes.length, violations: r.violations}))`, &result,
			func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }),
	)
	var found struct {
		Passes     int
		Violations []violation
	}
	if err := json.Unmarshal([]byte(result), &found); err != nil {
		b.t.Fatal(err)
	}
	if found.Passes == 0 {
		b.t.Error("axe-core has checked nothing")
	}
	for _, v := range found.Violations {
		var nodes strings.Builder
		for _, n := range v.Nodes[:min(3, len(v.Nodes))] {
			fmt.Fprintf(&nodes, "\n%s\n%s", n.HTML, n.FailureSummary)
		}
		b.t.Errorf("%s: %s%s", v.ID, v.Help, nodes.String())
	}
}

// checkQuiet holds that the page loads nothing but itself, and that the browser
// has nothing to say of it.
func (b *browser) checkQuiet(url string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, address := range b.loaded {
		if address != url && !strings.HasSuffix(address, "/favicon.ico") {
			b.t.Errorf("%s is loaded too", address)
		}
	}
	for _, text := range b.errors {
		if !strings.Contains(text, "404") { // of the icon, which only a browser asks for
			b.t.Errorf("the console says: %s", text)
		}
	}
}
