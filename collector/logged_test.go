package collector_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// TestLoggedOnce: a failure is logged once for each route, and so is its end,
// though the text of the error differs from request to request.
func TestLoggedOnce(t *testing.T) {
	dialing := func(fail func(n int) error) func(*exporter) {
		return func(e *exporter) {
			var n atomic.Int64
			counted := func() error { return fail(int(n.Add(1))) }
			e.dialFails.Store(&counted)
		}
	}
	faulty := func(faults ...petratest.Fault) func(*exporter) {
		return func(e *exporter) { e.api.SetFault(faults...) }
	}
	numbered := func(kind petratest.FaultKind, body string) func(*exporter) {
		var faults []petratest.Fault
		for n := range 200 {
			faults = append(faults, petratest.Fault{Kind: kind, Times: 1, Body: fmt.Sprintf(body, n), RetryHeader: "Retry-After", RetryValue: fmt.Sprint(1 + n%40)})
		}
		return faulty(faults...)
	}
	for name, fail := range map[string]func(*exporter){
		"DNS": dialing(func(n int) error {
			return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: fmt.Sprintf("read udp 127.0.0.1:%d->127.0.0.53:53: i/o timeout", 40000+n), IsTimeout: n%2 == 0}}
		}),
		"dial": dialing(func(n int) error {
			return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(n)), Port: 443}, Err: []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH}[n%2]}
		}),
		"proxy": dialing(func(n int) error {
			return &net.OpError{Op: "proxyconnect", Net: "tcp", Err: fmt.Errorf("attempt %d", n)}
		}),
		"expired certificate": dialing(func(int) error {
			return &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired, Detail: "current time " + time.Now().Format(time.RFC3339)}}
		}),
		"unknown":    dialing(func(n int) error { return fmt.Errorf("surprise %d", n) }),
		"status 500": numbered(petratest.Status500, "request %d"),
		"status 429": numbered(petratest.Status429, "request %d"),
		"status 503": numbered(petratest.Status503, "request %d"),
		"portal":     numbered(petratest.HTML, "<html>%d"),
		"bad JSON":   numbered(petratest.BadJSON, `{"incidents": [%d`),
		"timeout":    faulty(petratest.Fault{Kind: petratest.Hang}),
		"reset":      faulty(petratest.Fault{Kind: petratest.Reset}),
		"redirect":   faulty(petratest.Fault{Kind: petratest.Redirect}),
		"key":        func(e *exporter) { e.api.SetKeys("another") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{Keys: []string{testKey}})
				e := newExporter(t, api, "api: {timeout: 5s}")
				runScrapes(e, 2*time.Minute)
				fail(e)
				runScrapes(e, 20*time.Minute)
				e.scrape().want(t, "petra_up", 0)
				e.dialFails.Store(nil)
				api.ClearFault()
				api.SetKeys(testKey)
				runScrapes(e, 5*time.Minute)
				e.scrape().want(t, "petra_up", 1)
				for _, route := range []string{"incidents", "tenants"} {
					if n := e.log.lines(`msg="request failed" route=` + route); n != 1 && name != "key" {
						t.Errorf("the log has the failure of %s %d times", route, n)
					}
					if n := e.log.lines(`msg="requests succeed again" route=` + route); n != 1 && name != "key" {
						t.Errorf("the log has its end %d times", n)
					}
				}
				if n := e.log.lines("err="); n > 2 {
					t.Errorf("%d lines with an error", n)
				}
				if t.Failed() {
					t.Log(e.log)
				}
			})
		})
	}
}

// TestHeadsAloneFail: while organization reads fail and the reads of single tenants succeed,
// the log does not say in turn that requests fail and succeed again.
func TestHeadsAloneFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(bigOrg(time.Now()), petratest.Options{})
		e := newExporter(t, api, "")
		runScrapes(e, 3*time.Minute)
		api.SetFault(petratest.Fault{Kind: petratest.Status500, Match: petratest.IsOrgRead})
		runScrapes(e, 20*time.Minute)
		if failed, again := e.log.lines("request failed"), e.log.lines("requests succeed again"); failed != 1 || again != 0 {
			t.Errorf("%d failures and %d ends in the log, want 1 and 0:\n%s", failed, again, e.log)
		}
		api.ClearFault()
		runScrapes(e, time.Minute)
		if n := e.log.lines("requests succeed again"); n != 1 {
			t.Errorf("the end is %d times in the log:\n%s", n, e.log)
		}
	})
}
