package petratest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// client asks a server over HTTP as a plain http.Client does.
type client struct {
	http *http.Client
	url  string
}

func pipeClient(p *Pipe) (client, func()) {
	tr := &http.Transport{DialContext: p.DialContext}
	return client{&http.Client{Transport: tr}, p.URL}, tr.CloseIdleConnections
}

// get returns nil where no response came, and both a reply and an error where
// its body broke off.
func (c client) get(ctx context.Context, path string) (*reply, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer key")
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return &reply{resp.StatusCode, resp.Header, string(b), resp.Uncompressed}, err
}

func TestServer(t *testing.T) {
	api := NewAPI(Documented(), Options{})
	s, err := NewServer(api)
	if err != nil {
		t.Fatal(err)
	}
	c := client{&http.Client{Timeout: 10 * time.Second}, s.URL}
	resp, err := c.get(t.Context(), "/v1/incidents?limit=500")
	if err != nil || resp.StatusCode != 200 || !json.Valid([]byte(resp.Body)) || strings.Count(resp.Body, `"id": "`) != 8 {
		t.Fatalf("%v, %+v", err, resp)
	}
	if !resp.Gzip {
		t.Error("the answer was not compressed")
	}
	// A request that waits ends with the server.
	api.SetFault(Fault{Kind: Hang})
	failed := make(chan error)
	go func() {
		_, err := c.get(t.Context(), "/v1/incidents")
		failed <- err
	}()
	for len(api.Requests()) < 2 {
		time.Sleep(time.Millisecond)
	}
	s.Close()
	if err := <-failed; err == nil {
		t.Error("an answer from a closed server")
	}
	s.Close()
}

func TestCompression(t *testing.T) {
	api := NewAPI(Documented(), Options{Limit: -1})
	for header, want := range map[string]string{
		"": "", "gzip": "gzip", "br, gzip;q=0.5": "gzip", "gzip;q=0": "", "identity": "", "br": "",
	} {
		resp := get(t, api, "/v1/tenants", "Accept-Encoding", header)
		if got := resp.Header.Get("Content-Encoding"); got != want {
			t.Errorf("%q: encoding %q, want %q", header, got, want)
		}
	}
}

// A synctest bubble ends only once all of its goroutines have: this also proves
// that neither server nor handler leaves one behind.
func TestPipeOnVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w := NewOrganization()
		w.Add(Incident{ID: "later", TenantID: "T", CreatedAt: start.Add(30 * time.Second), OccurredAt: start})
		api := NewAPI(w, Options{Latency: 2 * time.Second})
		p := NewPipe(api)
		c, closeIdle := pipeClient(p)

		for i := range 10 {
			resp, err := c.get(t.Context(), "/v1/incidents")
			if err != nil || resp.StatusCode != 200 {
				t.Fatalf("request %d: %v, %v", i, resp, err)
			}
			now := time.Now()
			if want := start.Add(time.Duration(i)*4*time.Second + 2*time.Second); !now.Equal(want) {
				t.Errorf("request %d ended at %s, want %s", i, now, want)
			}
			if date, err := http.ParseTime(resp.Header.Get("Date")); err != nil || !date.Equal(now.Truncate(time.Second)) {
				t.Errorf("request %d: Date %s at %s", i, date, now)
			}
			if shown := strings.Contains(resp.Body, "later"); shown != !now.Before(start.Add(30*time.Second)) {
				t.Errorf("request %d: shown %v at %s", i, shown, now)
			}
			time.Sleep(2 * time.Second)
		}
		// At 40 s: the first came at 0 s.
		resp, err := c.get(t.Context(), "/v1/incidents")
		if err != nil || resp.StatusCode != 429 || resp.Header.Get("Retry-After-public-api") != "20" {
			t.Errorf("the eleventh: %v, %v", resp, err)
		}
		time.Sleep(18 * time.Second)
		if resp, err = c.get(t.Context(), "/v1/incidents"); err != nil || resp.StatusCode != 200 {
			t.Errorf("at 60 s: %v, %v", resp, err)
		}

		// A client that goes away ends its request.
		api.SetLatency(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.get(ctx, "/v1/tenants"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the impatient client: %v", err)
		}
		// One still waits while the pipe closes.
		failed := make(chan error)
		go func() {
			_, err := c.get(t.Context(), "/v1/tenants")
			failed <- err
		}()
		synctest.Wait()
		p.Close()
		if err := <-failed; err == nil {
			t.Error("an answer from a closed pipe")
		}
		if _, err := p.DialContext(t.Context(), "tcp", "x"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("dial after Close: %v", err)
		}
		p.Close()
		closeIdle()
		if elapsed := time.Since(start); elapsed > 2*time.Minute {
			t.Errorf("it took %s", elapsed)
		}
	})
}
