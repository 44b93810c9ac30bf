package main

import (
	"context"
	"fmt"
	"os"

	"github.com/alecthomas/kingpin/v2"
	"github.com/petra-exporter/petra_exporter/collector/inspect"
	"github.com/prometheus/common/version"
)

func newTenants(app *kingpin.Application, p *program) command {
	cmd := app.Command("tenants", "List what the key sees: the tenants, and the statuses of incidents. Makes one request per API endpoint.")
	format := cmd.Flag("format", "Output format: table, json, or yaml for the configuration.").Default("table").Enum(inspect.Formats()...)
	return command{
		brief: true,
		check: func() (done bool, err error) { return false, nil },
		run: func(ctx context.Context) int {
			if err := inspect.Tenants(ctx, os.Stdout, p.inspected(), *format); err != nil {
				fmt.Fprintf(os.Stderr, "petra_exporter: %v\n", err)
				return 1
			}
			return 0
		},
	}
}

// inspected is what the commands for a person look at.
func (p *program) inspected() inspect.Options {
	return inspect.Options{ConfigFile: p.configFile, Load: p.load, Version: version.Version}
}
