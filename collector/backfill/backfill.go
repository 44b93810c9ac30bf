// Package backfill writes the history of the metrics, from before the first
// scrape, as OpenMetrics with timestamps.
package backfill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/collector"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
)

// Options say what history [Run] writes, as its flags do.
type Options struct {
	Output string // the file
	// Start and End bound the samples: dates (UTC), RFC 3339 times or Unix
	// seconds. Empty means all history, and until now.
	Start, End string
	Step       string   // between two samples of a series, as a duration of Prometheus
	Metrics    []string // of [collector.HistoryMetrics]
	Labels     []string // NAME=VALUE, for each series
	// RequestsPerMinute is the budget of each route.
	RequestsPerMinute int
	Force             bool // write more than maxBytes
}

const (
	// maxBytes is the largest file that is written unasked.
	maxBytes = 10e9
	// earliestSample is the earliest start. From then on, and until 2286, Unix
	// seconds have ten digits, so that sizes are known before samples are made.
	earliestSample = 1e9
)

// plan is what valid options mean.
type plan struct {
	start, end time.Time // start is zero for all history
	step       time.Duration
	metrics    []string // in the order of [collector.HistoryMetrics]
	labels     []*dto.LabelPair
}

// sampleFrom is the first sample from a time on. Samples lie on multiples of the
// step, so that a second run repeats them.
func (p plan) sampleFrom(at time.Time) time.Time {
	step := int64(p.step / time.Second)
	from := max(earliestSample, at.Add(time.Second-1).Unix())
	return time.Unix((from+step-1)/step*step, 0)
}

// Validate returns an error that names the flag of a bad option.
func (o Options) Validate() error {
	_, err := o.plan(time.Now())
	return err
}

func (o Options) plan(now time.Time) (p plan, err error) {
	if o.Output == "" { // such as of a variable that is not set
		return p, errors.New("--output: must name a file, such as history.om")
	}
	if p.start, err = parseTime(o.Start, time.Time{}); err != nil {
		return p, fmt.Errorf("--start: %w", err)
	}
	if p.end, err = parseTime(o.End, now); err != nil {
		return p, fmt.Errorf("--end: %w", err)
	}
	if p.end.After(now) {
		return p, fmt.Errorf("--end: %s lies in the future; leave it out for now", o.End)
	}
	if !p.start.Before(p.end) {
		return p, fmt.Errorf("--start: %s is not before the end, %s", o.Start, rfc3339(p.end))
	}
	step, err := model.ParseDuration(o.Step)
	p.step = time.Duration(step)
	if err != nil || p.step < time.Second || p.step%time.Second != 0 {
		return p, fmt.Errorf("--step: %q must be whole seconds, at least 1s, such as 15m, 1h or 1d", o.Step)
	}
	earliest := time.Unix(earliestSample, 0)
	if p.end.Before(earliest) {
		return p, fmt.Errorf("--end: %s is before %s, the first time that can be written", o.End, rfc3339(earliest))
	}
	if p.sampleFrom(p.start).After(p.end) {
		if p.start.After(earliest) {
			earliest = p.start
		}
		return p, fmt.Errorf("--step: no multiple of %s lies between %s and %s, and samples lie there only; choose a shorter --step or a longer range", o.Step, rfc3339(earliest), rfc3339(p.end))
	}
	if o.RequestsPerMinute < 1 {
		return p, fmt.Errorf("--requests-per-minute: %d must be at least 1", o.RequestsPerMinute)
	}
	for _, name := range o.Metrics {
		if !slices.Contains(collector.HistoryMetrics(), name) {
			return p, fmt.Errorf("--metric: %q must be one of %s", name, strings.Join(collector.HistoryMetrics(), ", "))
		}
	}
	for _, name := range collector.HistoryMetrics() {
		if slices.Contains(o.Metrics, name) {
			p.metrics = append(p.metrics, name)
		}
	}
	p.labels, err = parseLabels(o.Labels)
	return p, err
}

// parseTime reads a time as a person or a query of Prometheus gives it.
func parseTime(text string, otherwise time.Time) (time.Time, error) {
	if text == "" {
		return otherwise, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	const latest = 1e10 // seconds; milliseconds are more
	if unix, err := strconv.ParseFloat(text, 64); err == nil && unix >= 0 && unix < latest {
		return time.UnixMilli(int64(unix * 1000)), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time; give a date (2026-01-31, UTC), a time with its zone (2026-01-31T12:00:00Z) or Unix seconds", text)
}

// parseLabels are the labels that a scrape would add.
func parseLabels(texts []string) (labels []*dto.LabelPair, err error) {
	own := []string{"tenant_id", "live", "remediation_status", model.BucketLabel}
	for _, text := range texts {
		name, value, found := strings.Cut(text, "=")
		switch {
		case !found || value == "":
			return nil, fmt.Errorf("--label: %q must be NAME=VALUE, such as job=petra", text)
		case !model.LegacyValidation.IsValidLabelName(name) || strings.HasPrefix(name, model.ReservedLabelPrefix):
			return nil, fmt.Errorf("--label: %q is not a valid label name", name)
		case slices.Contains(own, name):
			return nil, fmt.Errorf("--label: %q is a label that the exporter sets; choose another name", name)
		case slices.ContainsFunc(labels, func(l *dto.LabelPair) bool { return l.GetName() == name }):
			return nil, fmt.Errorf("--label: %q is given twice; keep one", name)
		}
		if !utf8.ValidString(value) {
			return nil, fmt.Errorf("--label: the value of %q is not valid UTF-8", name)
		}
		labels = append(labels, &dto.LabelPair{Name: &name, Value: &value})
	}
	return labels, nil
}

// Run reads every tenant in full and writes what would have been scraped, as
// OpenMetrics with timestamps. The collector is configured and does not run; ctx is
// its own. The file is complete, or does not exist.
func Run(ctx context.Context, logger log.Logger, c *collector.Collector, o Options) error {
	begun := time.Now() // the first answers do not contain what happens from now on
	plan, err := o.plan(begun)
	if err != nil {
		return err
	}
	out, err := createBeside(o.Output)
	if err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	defer out.discard()
	for _, name := range []string{"job", "instance"} {
		if !slices.ContainsFunc(plan.labels, func(l *dto.LabelPair) bool { return l.GetName() == name }) {
			level.Warn(logger).Log("msg", "backfilled series do not continue in scraped ones without the labels of your scrape", "missing", "--label="+name+"=...")
		}
	}
	p := &progress{logger: logger, what: "reading tenants"}
	err = c.ReadAll(o.RequestsPerMinute, p.at)
	if err == nil {
		err = write(ctx, logger, o, newHistory(c.History(begun), plan), out)
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

// write writes the history, once its size is known.
func write(ctx context.Context, logger log.Logger, o Options, h *history, file *besideFile) error {
	size := &sampleWriter{}
	if err := h.write(size); err != nil {
		return err
	}
	if size.samples == 0 {
		return fmt.Errorf("until %s no incident counts in %s: there is nothing to write", rfc3339(h.time(h.steps-1)), strings.Join(o.Metrics, ", "))
	}
	level.Info(logger).Log("msg", "writing", "file", o.Output, "size", formatSize(size.bytes), "samples", size.samples,
		"start", rfc3339(h.time(0)), "end", rfc3339(h.time(h.steps-1)), "step", o.Step)
	if size.bytes > maxBytes && !o.Force {
		return fmt.Errorf("--output: %s would be written, more than %s; choose a longer --step, a later --start or fewer of --metric, or set --force", formatSize(size.bytes), formatSize(maxBytes))
	}
	p := &progress{logger: logger, what: "writing"}
	if err := file.write(ctx, h.write, size.bytes, p); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	level.Info(logger).Log("msg", "written; create blocks from it with promtool tsdb create-blocks-from openmetrics", "file", o.Output)
	return nil
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func formatSize(bytes int64) string {
	if bytes >= 1e9 {
		return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
	}
	return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
}
