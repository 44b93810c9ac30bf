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
	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/prometheus/common/version"
	sloggokit "github.com/tjhop/slog-gokit"
)

//go:embed VERSION
var release string

// usage also shows the flags of serve, since serve is the default command.
var usage = strings.Replace(kingpin.DefaultUsageTemplate, "{{.Help|Wrap 4}}\n", `{{.Help|Wrap 4}}
{{if eq .Name "serve"}}
{{.Flags|FlagsToTwoColumns|FormatTwoColumns}}{{end}}`, 1)

func main() {
	version.Version = cmp.Or(version.Version, strings.TrimSpace(release)) // go run and go install set none
	os.Exit(run())
}

// program is what its commands share.
type program struct {
	commandLine
	configFile string
	overrides  config.Overrides
	logger     log.Logger
	slogger    *slog.Logger
	budgets    petra.Budgets       // of each client, one after the other
	requests   *collector.Requests // that they make
}

// command is one of the program's commands; the values of its flags are its own.
type command struct {
	// check looks at the flags; done reports that there is nothing to run.
	check func() (done bool, err error)
	run   func(context.Context) (status int)
	// brief is set for a command that ends when it is interrupted, or when its
	// output is no longer read.
	brief bool
}

// run runs the program and returns the exit status.
func run() int {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // at once: until then it ends the process
	app := kingpin.New("petra_exporter", "Prometheus exporter for Petra Security's incidents.").UsageWriter(os.Stdout).UsageTemplate(usage)
	p := &program{overrides: config.Overrides{APIKey: os.Getenv("PETRA_API_KEY")}}
	app.Flag("config.file", "Configuration file.").PlaceHolder("FILE").StringVar(&p.configFile)
	app.Flag("petra.api-key-file", "File with the API key, read again for every request. Takes precedence over the configuration, and that over PETRA_API_KEY.").PlaceHolder("FILE").StringVar(&p.overrides.APIKeyFile)
	app.Flag("petra.api-url", "Overrides api.url.").PlaceHolder("URL").StringVar(&p.overrides.APIURL)
	app.Flag("petra.tenant", "Petra or Microsoft ID of a tenant to collect; repeatable. Overrides tenants. Without either, every tenant is collected.").PlaceHolder("ID").StringsVar(&p.overrides.Tenants)
	logLevel := app.Flag("log.level", "Minimum level to log: debug, info, warn or error.").Default("info").Enum("debug", "info", "warn", "error")
	logFormat := app.Flag("log.format", "Format of the log: logfmt or json.").Default("logfmt").Enum("logfmt", "json")
	demo := app.Flag("demo", "Run against an embedded simulated API; needs no key and no network.").Bool()
	demoTenants := new(wholeNumber)
	app.Flag("demo.tenants", fmt.Sprintf("Tenants of the simulated organization, from %d to %d.", minDemoTenants, maxDemoTenants)).Default(fmt.Sprint(minDemoTenants)).SetValue(demoTenants)
	app.Version(version.Print("petra_exporter")).HelpFlag.Short('h')

	// In the order of --help.
	commands := map[string]command{
		"serve":       newServe(app, p, hangups),
		"backfill":    newBackfill(app, p),
		"tenants":     newTenants(app, p),
		"doctor":      newDoctor(app, p),
		"healthcheck": newHealthcheck(app),
	}
	line, err := parse(app, os.Args[1:])
	p.commandLine = line
	c, done := commands[line.command], false
	if err == nil {
		err = checkDemo(*demo, int(*demoTenants))
	}
	if err == nil {
		done, err = c.check()
	}
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "petra_exporter: %v\n", p.named(err))
		return 1
	case done:
		return 0
	}
	p.logger, p.slogger = newLoggers(*logLevel, *logFormat)
	p.budgets, p.requests = petra.NewBudgets(0), collector.NewRequests(p.logger)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *demo {
		api, err := serveDemo(int(*demoTenants))
		if err != nil {
			return p.ended("the simulated API does not start", err)
		}
		defer api.Close()
		p.overrides.Demo = api.URL
	}
	if c.brief {
		stop()
		ctx = context.Background()
	} else {
		signal.Ignore(syscall.SIGPIPE) // the process must not end when the reader of its log goes away
	}
	return c.run(ctx)
}

func (p *program) load() (*config.Config, error) {
	cfg, err := config.Load(p.configFile, p.overrides)
	return cfg, p.named(err)
}

// ended returns the exit status, and logs the error if there is one.
func (p *program) ended(msg string, err error) (status int) {
	if err != nil {
		level.Error(p.logger).Log("msg", msg, "err", p.named(err))
		return 1
	}
	return 0
}

// configuration reads the configuration and makes a client from it that has a key
// to send.
func (p *program) configuration(ctx context.Context) (*config.Config, *petra.Client, error) {
	cfg, err := p.load()
	if err != nil {
		return nil, nil, err
	}
	client, err := p.newClient(cfg)
	if err != nil {
		return nil, nil, err
	}
	if err := client.CheckKey(ctx); err != nil {
		return nil, nil, fmt.Errorf("%w; name it with --petra.api-key-file, api.authorization.credentials_file or PETRA_API_KEY", err)
	}
	return cfg, client, nil
}

func (p *program) newCollector(ctx context.Context, stateFile string) (*collector.Collector, error) {
	cfg, client, err := p.configuration(ctx)
	if err != nil {
		return nil, err
	}
	return collector.New(ctx, collector.Options{
		Logger: p.logger, Config: cfg, Client: client, Budgets: p.budgets, Requests: p.requests, StateFile: stateFile,
	})
}

func (p *program) newClient(cfg *config.Config) (*petra.Client, error) {
	client, err := petra.NewClient(petra.ClientConfig{
		URL: cfg.API.URL, HTTP: cfg.API.HTTP, Key: cfg.API.Key, Timeout: cfg.API.Timeout,
		Version: version.Version, Budgets: p.budgets, Observe: p.requests.Observe,
	})
	if err != nil {
		return nil, fmt.Errorf("api.tls_config: %w", err)
	}
	return client, nil
}

// newLoggers returns the program's logger and one for exporter-toolkit, with the
// same keys. Neither has the place in the code, which go-kit/log takes from the
// depth of the call: for what the store has found, that is one line for all.
func newLoggers(least, format string) (log.Logger, *slog.Logger) {
	formats := map[string]func(io.Writer) log.Logger{"logfmt": log.NewLogfmtLogger, "json": log.NewJSONLogger}
	base := level.NewFilter(formats[format](log.NewSyncWriter(os.Stderr)), level.Allow(level.ParseDefault(least, level.InfoValue())))
	return log.With(base, "time", log.DefaultTimestampUTC), slog.New(placeless{sloggokit.NewGoKitHandler(base, slog.LevelDebug)})
}
