// Command petra_exporter publishes Petra Security's incidents as Prometheus
// metrics.
package main

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/collector/inspect"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"
	sloggokit "github.com/tjhop/slog-gokit"
	"golang.org/x/term"
)

//go:embed VERSION
var release string

// usage shows the flags of serve too, since it needs no name.
var usage = strings.Replace(kingpin.DefaultUsageTemplate, "{{.Help|Wrap 4}}\n", `{{.Help|Wrap 4}}
{{if eq .Name "serve"}}
{{.Flags|FlagsToTwoColumns|FormatTwoColumns}}{{end}}`, 1)

func main() {
	version.Version = cmp.Or(version.Version, strings.TrimSpace(release)) // go run and go install set none
	os.Exit(run())
}

// run is the whole program; it returns the exit status.
func run() int {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // at once: until then it ends the process
	app := kingpin.New("petra_exporter", "Prometheus exporter for Petra Security's incidents.").UsageWriter(os.Stdout).UsageTemplate(usage)
	file := app.Flag("config.file", "Configuration file.").PlaceHolder("FILE").String()
	overrides := collector.Overrides{APIKey: os.Getenv("PETRA_API_KEY")}
	app.Flag("petra.api-key-file", "File with the API key, read anew for every request. Without it, the configuration or PETRA_API_KEY names the key.").PlaceHolder("FILE").StringVar(&overrides.APIKeyFile)
	app.Flag("petra.api-url", "Overrides api.url.").PlaceHolder("URL").StringVar(&overrides.APIURL)
	app.Flag("petra.tenant", "Petra or Microsoft ID of a tenant to collect; repeatable. Overrides tenants. Without either, every tenant is collected.").PlaceHolder("ID").StringsVar(&overrides.Tenants)
	logLevel := oneOf(app.Flag("log.level", "Least level to log: debug, info, warn or error.").Default("info"), "debug", "info", "warn", "error")
	logFormat := oneOf(app.Flag("log.format", "Form of the log: logfmt or json.").Default("logfmt"), "logfmt", "json")
	demo := app.Flag("demo", "Run against an embedded simulated API; needs no key and no network.").Bool()
	demoTenants := new(int)
	number(app.Flag("demo.tenants", fmt.Sprintf("Tenants of the simulated organization, from %d to %d.", minDemoTenants, maxDemoTenants)).Default(fmt.Sprint(minDemoTenants)), demoTenants)
	app.Version(version.Print("petra_exporter")).HelpFlag.Short('h')

	server := app.Command("serve", "Serve the metrics. It is what runs without a command.")
	checkOnly := server.Flag("config.check", "Check the configuration, the flags and the files that they name, and exit.").Bool()
	stateFile := server.Flag("state.file", "File that keeps what is known over a restart.").PlaceHolder("FILE").String()
	o := collector.WebOptions{Toolkit: kingpinflag.AddFlags(server, ":9984")}
	server.Flag("web.telemetry-path", "Path of the metrics.").Default("/metrics").StringVar(&o.TelemetryPath)
	server.Flag("web.enable-lifecycle", "Allow POST /-/reload to reload the configuration; SIGHUP always does.").BoolVar(&o.Lifecycle)
	number(server.Flag("web.max-requests", "Scrapes at once, those included that wait for their refresh; more get 503. 0: no limit.").Default("40"), &o.MaxRequests)
	duration(server.Flag("scrape.timeout-offset", "Time to subtract from the scraper's timeout.").Default("0.5s"), &o.TimeoutOffset)

	backfill := app.Command("backfill", "Write the history of the metrics to a file, for promtool tsdb create-blocks-from openmetrics. See docs/backfill.md.")
	b := collector.BackfillOptions{}
	backfill.Flag("output", "File to write.").PlaceHolder("FILE").Required().StringVar(&b.Output)
	backfill.Flag("start", "Begin then: a date (UTC), an RFC 3339 time or Unix seconds. Default: one step before the first incident.").PlaceHolder("TIME").StringVar(&b.Start)
	backfill.Flag("end", "End then, such as at the first scrape. Default: now.").PlaceHolder("TIME").StringVar(&b.End)
	backfill.Flag("step", "Time between two samples.").Default("1h").StringVar(&b.Step)
	backfill.Flag("metric", "What to write; repeatable: "+strings.Join(collector.BackfillMetrics(), ", ")+".").Default("raised", "open", "dwell").StringsVar(&b.Metrics)
	backfill.Flag("label", "Label for each series, such as job=petra; repeatable.").PlaceHolder("NAME=VALUE").StringsVar(&b.Labels)
	number(backfill.Flag("requests-per-minute", "Requests to the API in any minute, beside those of an exporter that runs.").Default("4"), &b.RequestsPerMinute)
	backfill.Flag("force", "Write a file of more than 10 GB too.").BoolVar(&b.Force)

	tenants := app.Command("tenants", "List what the key sees: the tenants, and the statuses of incidents. It costs a request of each of the API's routes.")
	format := oneOf(tenants.Flag("format", "How to write it: table, json, or yaml for the configuration.").Default("table"), inspect.Formats()...)

	doctor := app.Command("doctor", "Say what keeps metrics away, and what to do. It costs at most a request of each of the API's routes.")
	prometheusURL := doctor.Flag("prometheus.url", "A Prometheus to ask what it scrapes, such as http://localhost:9090.").PlaceHolder("URL").String()

	load := func() (*collector.Config, error) { return collector.LoadConfig(*file, overrides) }
	command, err := parse(app, os.Args[1:])
	switch {
	case err != nil:
	case command == backfill.FullCommand():
		err = b.Validate()
	case command == server.FullCommand():
		err = o.Validate()
	case command == doctor.FullCommand() && *prometheusURL != "":
		err = inspect.CheckPrometheusURL(*prometheusURL)
	}
	if err == nil {
		err = checkDemo(*demo, *demoTenants)
	}
	if err == nil && *checkOnly {
		err = check(load, *stateFile)
	}
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "petra_exporter: %v\n", err)
		return 1
	case *checkOnly:
		return 0
	}
	logger, slogger := newLoggers(*logLevel, *logFormat)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *demo {
		api, err := serveDemo(*demoTenants)
		if err != nil {
			level.Error(logger).Log("msg", "the simulated API does not start", "err", err)
			return 1
		}
		defer api.Close()
		overrides.Demo = api.URL
	}
	msg := "petra_exporter cannot run"
	options := inspect.Options{ConfigFile: *file, Overrides: overrides, Version: version.Version}
	switch command {
	case backfill.FullCommand():
		msg = "no history was written"
		if term.IsTerminal(int(os.Stderr.Fd())) {
			b.Terminal = os.Stderr
		}
		c := collector.New(ctx, logger)
		if err = configure(ctx, c, load); err == nil {
			err = c.Backfill(b)
		}
	case tenants.FullCommand():
		stop() // an interrupt ends it at once
		if err := inspect.Tenants(context.Background(), os.Stdout, options, *format); err != nil {
			fmt.Fprintf(os.Stderr, "petra_exporter: %v\n", err)
			return 1
		}
	case doctor.FullCommand():
		stop()
		if !inspect.Doctor(context.Background(), os.Stdout, options, *prometheusURL) {
			return 1
		}
	default:
		err = serve(ctx, o, load, *stateFile, hangups, logger, slogger)
	}
	if err != nil {
		level.Error(logger).Log("msg", msg, "err", err)
		return 1
	}
	return 0
}

// newLoggers returns the program's logger and one for exporter-toolkit, which
// adds time and caller by itself, under the same keys.
func newLoggers(least, format string) (log.Logger, *slog.Logger) {
	formats := map[string]func(io.Writer) log.Logger{"logfmt": log.NewLogfmtLogger, "json": log.NewJSONLogger}
	base := level.NewFilter(formats[format](log.NewSyncWriter(os.Stderr)), level.Allow(level.ParseDefault(least, level.InfoValue())))
	return log.With(base, "time", log.DefaultTimestampUTC, "caller", log.DefaultCaller), slog.New(sloggokit.NewGoKitHandler(base, slog.LevelDebug))
}
