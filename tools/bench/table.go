package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// columns of the table. A row has values for some of them.
var columns = []string{
	"what", "tenants", "form", "of", "time ms", "CPU ms", "exporter's CPU / this", "allocations", "allocated MiB",
	"bytes", "series", "peak RSS MiB", "heap MiB", "note",
}

type row map[string]string

// printTable writes the rows as a Markdown table that is easy to read as text.
func printTable(w io.Writer, columns []string, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	rules := make([]string, len(columns))
	for i, name := range columns {
		rules[i] = strings.Repeat("-", max(3, len(name)))
	}
	printLine(t, columns)
	printLine(t, rules)
	for _, r := range rows {
		cells := make([]string, len(columns))
		for i, name := range columns {
			cells[i] = r[name]
		}
		printLine(t, cells)
	}
	return t.Flush()
}

func printLine(w io.Writer, cells []string) {
	fmt.Fprintf(w, "| %s\t|\n", strings.Join(cells, "\t| "))
}

func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func mebibytes(bytes float64) string {
	return number(bytes / (1 << 20))
}
