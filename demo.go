package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/collector/web"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// The tenants of --demo.
const minDemoTenants, maxDemoTenants = 8, 5000

func checkDemo(demo bool, tenants int) error {
	switch {
	case tenants < minDemoTenants || tenants > maxDemoTenants:
		return fmt.Errorf("--demo.tenants: %d is not between %d and %d", tenants, minDemoTenants, maxDemoTenants)
	case !demo && tenants != minDemoTenants:
		return errors.New("--demo.tenants: needs --demo")
	}
	return nil
}

func serveDemo(tenants int) (*petratest.Server, error) {
	return petratest.NewServer(petratest.NewAPI(petratest.LargeDemo(time.Now(), tenants), petratest.Options{}))
}

// announceDemo returns an http.Server's BaseContext, which is called once the
// server listens: it logs what to open in a browser.
func announceDemo(logger log.Logger, o web.Options) func(net.Listener) context.Context {
	return func(l net.Listener) context.Context {
		if addr, ok := l.Addr().(*net.TCPAddr); ok {
			host, scheme := addr.IP.String(), "http"
			if addr.IP.IsUnspecified() || addr.IP.IsLoopback() {
				host = "localhost"
			}
			if _, plain := l.(*net.TCPListener); !plain {
				scheme = "https"
			}
			prefix, _ := o.Prefix() // serve has checked it
			url := scheme + "://" + net.JoinHostPort(host, fmt.Sprint(addr.Port)) + prefix
			level.Info(logger).Log("msg", "demo: open these pages", "home", url+"/", "metrics", url+o.TelemetryPath, "status", url+"/status")
		}
		return context.Background()
	}
}
