// Plot draws the freshness by number of tenants that a simulation has measured.
package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"image/color"
	"os"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: plot FRESHNESS.CSV FRESHNESS.SVG")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

// lines are drawn in this order. Colours tell the plans apart, also to the
// colour-blind; dashes and shapes tell the percentiles apart.
var lines = []struct {
	name, plan, column string
	colour             color.Color
	dashes             []vg.Length
	shape              draw.GlyphDrawer
}{
	{"one request per tenant in turn, p99", "baseline", "new_p99_seconds", orange, nil, draw.CircleGlyph{}},
	{"one request per tenant in turn, p50", "baseline", "new_p50_seconds", orange, dashed, draw.RingGlyph{}},
	{"petra_exporter, p99", "ours", "new_p99_seconds", blue, nil, draw.CircleGlyph{}},
	{"petra_exporter, p50", "ours", "new_p50_seconds", blue, dashed, draw.RingGlyph{}},
}

var (
	blue   = color.RGBA{R: 0x00, G: 0x5a, B: 0xb5, A: 0xff}
	orange = color.RGBA{R: 0xdc, G: 0x6a, B: 0x00, A: 0xff}
	dashed = []vg.Length{vg.Points(5), vg.Points(3)}
)

func run(in, out string) error {
	points, err := read(in)
	if err != nil {
		return err
	}
	p := plot.New()
	p.BackgroundColor = color.White // for pages that are dark
	p.Title.Text = "From a new incident in the API to the first scrape that shows it\n10 requests a minute, a scrape every 15 s, simulated"
	p.Title.Padding = vg.Points(8)
	p.X.Label.Text, p.Y.Label.Text = "tenants", "time"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.Padding, p.Legend.XOffs, p.Legend.YOffs = vg.Points(2), vg.Points(8), vg.Points(-8)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{Y: 0xdd}, color.Gray{Y: 0xdd}
	p.Add(grid)
	for _, l := range lines {
		xys := points[l.plan+" "+l.column]
		if len(xys) == 0 {
			return fmt.Errorf("%s has no %s of plan %q", in, l.column, l.plan)
		}
		line, glyphs, err := plotter.NewLinePoints(xys)
		if err != nil {
			return err
		}
		line.Color, line.Width, line.Dashes = l.colour, vg.Points(1.5), l.dashes
		glyphs.Color, glyphs.Shape, glyphs.Radius = l.colour, l.shape, vg.Points(3)
		p.Add(line, glyphs)
		p.Legend.Add(l.name, line, glyphs)
	}
	p.X.Tick.Marker = plot.ConstantTicks{{Value: 10, Label: "10"}, {Value: 100, Label: "100"}, {Value: 1000, Label: "1,000"}, {Value: 10_000, Label: "10,000"}}
	p.Y.Tick.Marker = plot.ConstantTicks{
		{Value: 1, Label: "1 s"},
		{Value: 5, Label: "5 s"},
		{Value: 15, Label: "15 s"},
		{Value: 60, Label: "1 min"},
		{Value: 300, Label: "5 min"},
		{Value: 3600, Label: "1 h"},
		{Value: 6 * 3600, Label: "6 h"},
		{Value: 24 * 3600, Label: "1 day"},
	}
	p.Y.Min, p.Y.Max = min(p.Y.Min, 5), 4*max(p.Y.Max, 3600) // room for the legend
	p.X.Max *= 1.3                                           // and for the last label
	return p.Save(vg.Points(560), vg.Points(400), out)
}

// read returns the points of each line, by plan and column.
func read(file string) (map[string]plotter.XYs, error) {
	f, err := os.Open(file) //nolint:gosec // what the caller asks for
	if err != nil {
		return nil, err
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(records) < 2 || len(records[0]) < 3 || records[0][0] != "tenants" || records[0][1] != "plan" {
		return nil, errors.New("want a CSV file with the columns tenants, plan, and measurements")
	}
	points := map[string]plotter.XYs{}
	for _, record := range records[1:] {
		tenants, err := strconv.ParseFloat(record[0], 64)
		if err != nil {
			return nil, err
		}
		for i := 2; i < len(record); i++ {
			v, err := strconv.ParseFloat(record[i], 64)
			if err != nil {
				return nil, err
			}
			// A logarithmic axis has no zero.
			key := record[1] + " " + records[0][i]
			points[key] = append(points[key], plotter.XY{X: tenants, Y: max(v, 0.1)})
		}
	}
	return points, nil
}
