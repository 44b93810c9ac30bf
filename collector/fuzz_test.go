package collector_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"golang.org/x/net/html"
)

// hostile are texts that the API may send where it sends a name, an ID, an
// address or a status.
var hostile = []string{
	"", " ", "ZZk90t", "Ärzte & Söhne GmbH", "a\x00b", "a\x01b", "line\nbreak\r\t", "\x1b[31mred", "\xff\xfe", "\xed\xa0\x80", "\u202egnp.exe", "\u2066\u2069\u200f", "\ufffd", "\ufeff", "\u200b",
	`"quoted" \ {a="b"} 1`, "# HELP x", "</td><script>alert(1)</script>", `" onload=alert(1) x="`, "{{.Now}}", "<!--", "]]>", "&lt;i&gt;", "javascript:alert(1)", "https://app.petrasecurity.com/incidents/1", "https://a\u202e.example/", "HTTP://[::1]:x", "https://user:pass@example.com/",
	"REMEDIATED", "remediated", "OTHER", "UNKNOWN", "a1b2c3d4-5e6f-7890-abcd-ef1234567890", strings.Repeat("ä", 129), strings.Repeat("€", 257), strings.Repeat("x", 300),
}

// jsonText writes a text as JSON and leaves it as broken as it is.
func jsonText(text string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, b := range []byte(text) {
		switch {
		case b == '"' || b == '\\':
			out.Write([]byte{'\\', b})
		case b < ' ':
			fmt.Fprintf(&out, `\u%04x`, b)
		default:
			out.WriteByte(b)
		}
	}
	return out.String() + `"`
}

// answered starts an exporter whose API answers with these bodies, and makes
// the first refresh.
func answered(t *testing.T, incidents, tenants, yaml string) *exporter {
	t.Helper()
	api := petratest.NewAPI(petratest.NewOrganization(), petratest.Options{})
	api.SetFault(
		petratest.Fault{Kind: petratest.BadJSON, Match: petratest.IsTenants, Body: tenants},
		petratest.Fault{Kind: petratest.BadJSON, Body: incidents},
	)
	e := newExporter(t, api, yaml)
	<-e.collector.Refresh()
	synctest.Wait() // for the list of tenants, which is read beside
	return e
}

// exposed scrapes in the text format and as protobuf, holds that both can be
// read and are fit for any Prometheus, and returns the samples of the first.
func (e *exporter) exposed() samples {
	e.t.Helper()
	e.family("petra_up") // fails the test if a series could not be gathered
	protobuf := e.get("/metrics", "Accept", string(expfmt.NewFormat(expfmt.TypeProtoDelim)))
	decoder := expfmt.NewDecoder(protobuf.Body, expfmt.NewFormat(expfmt.TypeProtoDelim))
	for {
		var family dto.MetricFamily
		err := decoder.Decode(&family)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			e.t.Fatal(err)
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				wantClean(e.t, label.GetValue(), 256)
			}
		}
	}
	return e.scrape()
}

// wantClean fails the test if a text could not stand in a label.
func wantClean(t *testing.T, text string, longest int) {
	t.Helper()
	unfit := func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }
	if utf8.RuneCountInString(text) > longest || !utf8.ValidString(text) || strings.ContainsFunc(text, unfit) {
		t.Errorf("unfit to be shown: %.1000q", text)
	}
}

func (s samples) sum(name string) (sum float64) {
	for _, value := range s.named(name) {
		sum += value
	}
	return sum
}

// FuzzLabels: whatever names, IDs and addresses are, the exposition can be read
// back, its labels are short and clean, and each incident is counted, as what it
// is or as rejected.
func FuzzLabels(f *testing.F) {
	for i, text := range hostile {
		next, last := hostile[(i+1)%len(hostile)], hostile[(i+7)%len(hostile)]
		f.Add(text, next, text, text, text, text, text, text)
		f.Add(text, next, "ZZk90t", last, next, last, text, next)
		f.Add("48f3708e", text, "ZZk90t", text, text, text, text, last)
	}
	f.Fuzz(checkLabels)
}

// TestMegabytes holds what FuzzLabels and FuzzStatus do of texts that are too
// long to fuzz with.
func TestMegabytes(t *testing.T) {
	megabytes := strings.Repeat("<ä\u202e", 1<<18)
	checkLabels(t, "1", "2", "ZZk90t", megabytes, megabytes, megabytes, megabytes, megabytes)
	checkLabels(t, megabytes, "2", "ZZk90t", "", "", "", "", "")
	checkLabels(t, "1", "2", megabytes, "", "", "", "", "")
	checkStatus(t, "ZZk90t", megabytes, megabytes, megabytes)
}

func checkLabels(t *testing.T, id, otherID, tenantID, name, microsoftID, url, status, user string) {
	synctest.Test(t, func(t *testing.T) {
		tenant := fmt.Sprintf(`{"petraTenantId":%s,"name":%s,"microsoftTenantId":%s}`, jsonText(tenantID), jsonText(name), jsonText(microsoftID))
		element := func(id string) string {
			return fmt.Sprintf(`{"id":%s,"url":%s,"createdAt":"1999-12-31T23:00:00Z","occurredAt":"1999-12-31T22:00:00Z","remediationStatus":%s,"tenant":%s,"user":{"userPrincipalName":%s}}`,
				jsonText(id), jsonText(url), jsonText(status), tenant, jsonText(user))
		}
		e := answered(t, `{"incidents":[`+element(id)+`,`+element(otherID)+`]}`, `{"totalTenants":1,"tenants":[`+tenant+`]}`, "open_incident_user: true")
		s := e.exposed()
		sent, rejected := map[string]bool{}, map[string]bool{}
		for _, id := range []string{id, otherID} {
			key := received(t, id)
			if key == "" || utf8.RuneCountInString(key) > petra.MaxIDLength {
				rejected[element(id)] = true // by its content: it has no other name
			} else if sent[key] = true; !usable(received(t, tenantID)) {
				rejected[key] = true
			}
		}
		want := float64(len(sent))
		if !usable(received(t, tenantID)) {
			want = 0
		}
		if got := s.sum("petra_incidents_rejected_total"); got != float64(len(rejected)) {
			t.Errorf("%v rejected, want %d", got, len(rejected))
		}
		for _, name := range []string{"petra_incidents_raised_total", "petra_incidents"} {
			if got := s.sum(name); got != want {
				t.Errorf("%s: %v, want %v of %q", name, got, want, slices.Collect(maps.Keys(sent)))
			}
		}
		listed := float64(len(s.named("petra_open_incident_info")))
		if open := s.sum("petra_open_incidents"); open != listed || open > want {
			t.Errorf("%v open, %v listed, of %v", open, listed, want)
		}
	})
}

// received is a text as it comes out of JSON.
func received(t *testing.T, text string) (out string) {
	t.Helper()
	if err := json.Unmarshal([]byte(jsonText(text)), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// usable reports whether a tenant may have that ID.
func usable(id string) bool {
	unfit := func(r rune) bool { return !unicode.IsGraphic(r) || r == unicode.ReplacementChar }
	return id != "" && utf8.RuneCountInString(id) <= petra.MaxIDLength && !strings.ContainsFunc(id, unfit)
}

// FuzzStatus: whatever the API sends, the status page has the elements that it
// has for harmless text, each closed, and what was sent is text in them.
func FuzzStatus(f *testing.F) {
	for i, text := range hostile {
		f.Add(text, text, text, text)
		f.Add("ZZk90t", text, hostile[(i+3)%len(hostile)], hostile[(i+11)%len(hostile)])
	}
	f.Fuzz(checkStatus)
}

func checkStatus(t *testing.T, id, name, status, failure string) {
	harmlessID, harmlessStatus := "", "ACTIVE"
	if usable(received(t, id)) {
		harmlessID = "ZZk90t"
	}
	switch told := received(t, status); {
	case told == "REMEDIATED":
		harmlessStatus = "REMEDIATED"
	case strings.ToUpper(told) == "REMEDIATED":
		harmlessStatus = "Remediated" // a row of its own
	}
	got := elements(t, statusPage(t, id, name, status, failure))
	want := elements(t, statusPage(t, harmlessID, "Acme", harmlessStatus, "failure"))
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("the page's elements differ from number %d on:\n%v, want\n%v", i, got[min(i, len(got)):], want[min(i, len(want)):])
		}
	}
}

// statusPage is /status of a tenant with one incident, after a failure.
func statusPage(t *testing.T, id, name, status, failure string) (page string) {
	synctest.Test(t, func(t *testing.T) {
		tenant := fmt.Sprintf(`{"petraTenantId":%s,"name":%s}`, jsonText(id), jsonText(name))
		incident := fmt.Sprintf(`{"id":"1","createdAt":"1999-12-31T23:00:00Z","remediationStatus":%s,"tenant":%s}`, jsonText(status), tenant)
		e := answered(t, `{"incidents":[`+incident+`]}`, `{"totalTenants":1,"tenants":[`+tenant+`]}`, "")
		e.api.SetFault(petratest.Fault{Kind: petratest.Status500, Body: failure})
		time.Sleep(time.Minute)
		<-e.collector.Refresh()
		synctest.Wait() // the list of tenants is read beside
		page = e.status()
	})
	return page
}

// elements are the tags of a page in their order, with their attributes. It
// holds that the page is well-formed, and has no text that is unfit to be shown.
func elements(t *testing.T, page string) (tags []string) {
	t.Helper()
	var open []string
	for z := html.NewTokenizer(strings.NewReader(page)); z.Next() != html.ErrorToken; {
		switch token := z.Token(); token.Type {
		case html.StartTagToken:
			tags = append(tags, token.String())
			if token.Data != "meta" && token.Data != "input" { // which have no end
				open = append(open, token.Data)
			}
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != token.Data {
				t.Fatalf("%s closes nothing in:\n%s", token, page)
			}
			open = open[:len(open)-1]
		case html.TextToken:
			if in := open[max(0, len(open)-1):]; !slices.Equal(in, []string{"style"}) && !slices.Equal(in, []string{"script"}) { // as they stand in their files: TestStatusHeaders
				wantClean(t, strings.ReplaceAll(token.Data, "\n", ""), 1000)
			}
		case html.DoctypeToken:
		default:
			t.Errorf("%s is not the template's", token)
		}
	}
	if len(open) > 0 {
		t.Errorf("%v not closed in:\n%s", open, page)
	}
	return tags
}
