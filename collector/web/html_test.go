package web_test

import (
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// statusRow is a row of the table of tenants.
type statusRow struct {
	name, id, up, open, live, read, whole, problem string
	marked                                         bool // as a problem
}

func statusRows(t *testing.T, page string) (rows []statusRow) {
	t.Helper()
	for _, row := range tableRows(t, page, "tenants") {
		c := cells(row)
		rows = append(rows, statusRow{c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], attribute(row, "class") == "problem"})
	}
	return rows
}

// routeRow is the row of a route, as text.
func routeRow(t *testing.T, page, route string) string {
	t.Helper()
	for _, row := range tableRows(t, page, "api") {
		if c := cells(row); c[0] == route {
			return strings.Join(c[1:], " | ")
		}
	}
	t.Fatalf("no row of the route %s in:\n%s", route, page)
	return ""
}

// problems are what the page says is wrong.
func problems(t *testing.T, page string) (list []string) {
	t.Helper()
	for n := range section(t, page, "wrong").Descendants() {
		if n.DataAtom == atom.Li {
			list = append(list, textOf(n))
		}
	}
	return list
}

// section is the part of the page below the heading with this id.
func section(t *testing.T, page, id string) *html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.DataAtom == atom.Section && attribute(n, "aria-labelledby") == id {
			return n
		}
	}
	t.Fatalf("no section %s in:\n%s", id, page)
	return nil
}

// tableRows are the rows of a section's table, without its head.
func tableRows(t *testing.T, page, id string) (rows []*html.Node) {
	t.Helper()
	for n := range section(t, page, id).Descendants() {
		if n.DataAtom == atom.Tr && n.Parent.DataAtom == atom.Tbody {
			rows = append(rows, n)
		}
	}
	return rows
}

func cells(row *html.Node) (texts []string) {
	for n := range row.ChildNodes() {
		texts = append(texts, textOf(n))
	}
	return texts
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
