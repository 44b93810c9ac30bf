package main

import (
	"context"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"github.com/petra-exporter/petra_exporter/collector"
	"github.com/petra-exporter/petra_exporter/collector/backfill"
)

func newBackfill(app *kingpin.Application, p *program) command {
	cmd := app.Command("backfill", "Write the history of the metrics to a file, for promtool tsdb create-blocks-from openmetrics. See docs/backfill.md.")
	o := backfill.Options{}
	cmd.Flag("output", "File to write.").PlaceHolder("FILE").Required().StringVar(&o.Output)
	cmd.Flag("start", "First sample: a date (UTC), an RFC 3339 time or Unix seconds. Default: one step before the first incident.").PlaceHolder("TIME").StringVar(&o.Start)
	cmd.Flag("end", "Last sample, such as the time of the first scrape. Default: now.").PlaceHolder("TIME").StringVar(&o.End)
	cmd.Flag("step", "Time between two samples.").Default("1h").StringVar(&o.Step)
	cmd.Flag("metric", "Metric to write; repeatable: "+strings.Join(collector.HistoryMetrics(), ", ")+".").Default("raised", "open", "dwell").StringsVar(&o.Metrics)
	cmd.Flag("label", "Label for each series, such as job=petra; repeatable.").PlaceHolder("NAME=VALUE").StringsVar(&o.Labels)
	cmd.Flag("requests-per-minute", "Requests to the API in any minute, in addition to those of a running exporter.").Default("4").SetValue((*wholeNumber)(&o.RequestsPerMinute))
	cmd.Flag("force", "Write the file even if it is larger than 10 GB.").BoolVar(&o.Force)
	return command{
		check: func() (done bool, err error) { return false, o.Validate() },
		run: func(ctx context.Context) int {
			c := collector.New(ctx, p.logger)
			err := p.configure(ctx, c)
			if err == nil {
				err = backfill.Run(ctx, p.logger, c, o)
			}
			return p.ended("no history was written", err)
		},
	}
}
