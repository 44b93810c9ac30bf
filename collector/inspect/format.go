package inspect

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"go.yaml.in/yaml/v3"
)

// writeTable writes for a person to read.
func (s *survey) writeTable(w io.Writer) error {
	tenants := newTable("ID", "name", "Microsoft ID", "paused", "onboarded", "newest incident (UTC)", "open")
	for _, t := range s.Tenants {
		tenants.AppendRow(table.Row{
			printable(t.ID), printable(t.Name), printable(t.MicrosoftID), yes(t.Paused), formatted(t.Onboarded, time.DateOnly), s.newest(t), open(t),
		})
	}
	statuses := newTable("status", "meaning", "incidents")
	for _, st := range s.Statuses {
		statuses.AppendRow(table.Row{status(st), st.Meaning, st.Incidents})
	}
	var out strings.Builder
	if len(s.Tenants) > 0 {
		out.WriteString(tenants.Render() + "\n")
	}
	if len(s.Statuses) > 0 {
		out.WriteString("\n" + statuses.Render() + "\n")
	}
	for _, note := range s.notes() {
		out.WriteString("\n" + note)
	}
	_, err := io.WriteString(w, strings.TrimPrefix(out.String(), "\n")+"\n")
	return err
}

func newTable(columns ...any) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleDefault)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.Style().Format.Header = text.FormatDefault
	t.Style().Box.PaddingLeft, t.Style().Box.PaddingRight = "", "  "
	t.SuppressTrailingSpaces()
	t.SetColumnConfigs([]table.ColumnConfig{{Name: "name", WidthMax: 40, WidthMaxEnforcer: text.Trim}})
	t.AppendHeader(columns)
	return t
}

// notes say what the tables leave open.
func (s *survey) notes() (notes []string) {
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	switch {
	case len(s.Tenants) == 0:
		add("The key sees no tenant: is it of the right organization?")
	case !s.Incidents.All:
		add("The API gives the newest %d incidents at once, here back to %s. Older ones were not seen: open incidents are at least so many.", s.Incidents.Read, cmp.Or(formatted(s.Incidents.Oldest, minute)+" UTC", "an unknown time"))
	default:
		add("%s, and no older ones.", count(s.Incidents.Read, "incident"))
	}
	if s.Incidents.Since != nil {
		add("Incidents before %s are left out (since).", formatted(s.Incidents.Since, minute)+" UTC")
	}
	if len(s.unknown()) > 0 {
		add("A status of unknown meaning counts as open: put it into %s.", theLists)
	}
	if len(s.Unlisted) > 0 {
		add("Incidents came of tenants that are not in the list; were they removed? %s", list(s.Unlisted))
	}
	if s.Unusable > 0 {
		add("Tenants in the list that could not be used, for want of a usable petraTenantId: %d.", s.Unusable)
	}
	if s.Incidents.Rejected > 0 {
		add("Incidents, or fields of them, that could not be used: %d.", s.Incidents.Rejected)
	}
	return notes
}

const (
	minute   = "2006-01-02 15:04"
	theLists = "remediated_statuses, closed_statuses or open_statuses of the configuration"
)

func formatted(t *time.Time, layout string) string {
	if t == nil {
		return ""
	}
	return t.Format(layout)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func open(t tenantSeen) string {
	if !t.All {
		return fmt.Sprintf("at least %d", t.Open)
	}
	return fmt.Sprint(t.Open)
}

func (s *survey) newest(t tenantSeen) string {
	if t.Newest == nil && !t.All && s.Incidents.Oldest != nil {
		return "none since " + s.Incidents.Oldest.Format(time.DateOnly)
	}
	return formatted(t.Newest, minute)
}

func status(st statusSeen) string { return cmp.Or(strings.TrimSpace(printable(st.Status)), "(none)") }

// maxListed is how many of something a line names.
const maxListed = 10

// list names some, and says how many more there are.
func list(texts []string) string {
	shown := make([]string, 0, maxListed)
	for _, text := range texts[:min(len(texts), maxListed)] {
		shown = append(shown, printable(text))
	}
	if more := len(texts) - len(shown); more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(shown, ", "), more)
	}
	return strings.Join(shown, ", ")
}

// writeJSON escapes what a terminal might take for a command: encoding/json
// does so below the space only.
func (s *survey) writeJSON(w io.Writer) error {
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		return err
	}
	var out strings.Builder
	for _, r := range plain.String() {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// writeYAML writes the key tenants of a configuration, and the rest as comments.
func (s *survey) writeYAML(w io.Writer) error {
	var out bytes.Buffer
	if len(s.Tenants) > 0 {
		ids := &yaml.Node{Kind: yaml.SequenceNode}
		for _, t := range s.Tenants {
			id := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: t.ID, LineComment: printable(t.Name)}
			if t.Paused {
				id.LineComment += " (paused)"
			}
			ids.Content = append(ids.Content, &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: "id"}, id}})
		}
		encoder := yaml.NewEncoder(&out)
		encoder.SetIndent(2)
		if err := encoder.Encode(map[string]*yaml.Node{"tenants": ids}); err != nil {
			return err
		}
	}
	for _, st := range s.Statuses {
		fmt.Fprintf(&out, "# Incidents with the status %s, which is %s: %d\n", status(st), st.Meaning, st.Incidents)
	}
	for _, note := range s.notes() {
		fmt.Fprintf(&out, "# %s\n", note)
	}
	_, err := w.Write(out.Bytes())
	return err
}
