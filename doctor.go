package main

import (
	"context"
	"os"

	"github.com/alecthomas/kingpin/v2"
	"github.com/petra-exporter/petra_exporter/collector/inspect"
)

func newDoctor(app *kingpin.Application, p *program) command {
	cmd := app.Command("doctor", "Find out why metrics are missing, and what to do. Makes at most one request per API endpoint.")
	prometheusURL := cmd.Flag("prometheus.url", "Prometheus server whose targets are checked too, such as http://localhost:9090.").PlaceHolder("URL").String()
	return command{
		brief: true,
		check: func() (done bool, err error) {
			if *prometheusURL != "" {
				err = inspect.CheckPrometheusURL(*prometheusURL)
			}
			return false, err
		},
		run: func(ctx context.Context) int {
			if !inspect.Doctor(ctx, os.Stdout, p.inspected(), *prometheusURL) {
				return 1
			}
			return 0
		},
	}
}
