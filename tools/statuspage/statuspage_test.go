package statuspage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// fast lets the exporter read all tenants at once, and again at every scrape.
const fast = "api: {requests_per_minute: 100000}\nopen_statuses: [ACTIVE]\n"

// TestPage looks at the page in the states in which people meet it.
func TestPage(t *testing.T) {
	for _, c := range []struct {
		name          string
		tenants       int
		config        string
		fault         petratest.FaultKind // once all is read
		then          string              // what the exposition says of it
		width, height int64
		wrong, open   string // what the page must say there
	}{
		{name: "empty", width: 1400, height: 900, wrong: "no tenant is known yet", open: "Not known."},
		{name: "8-tenants", tenants: 8, width: 1400, height: 900, wrong: "Nothing: every tenant is read and fresh.", open: "3 in "},
		{name: "1000-tenants", tenants: 1000, width: 1400, height: 900, wrong: "Nothing: every tenant is read and fresh.", open: "20 in "},
		{name: "api-down", tenants: 8, fault: petratest.Status500, then: "petra_up 0", width: 1400, height: 900, wrong: "the last request failed (status 500)", open: "3 in "},
		{name: "phone", tenants: 8, fault: petratest.Status401, then: "petra_up 0", width: 390, height: 844, wrong: "401 Unauthorized", open: "3 in "},
	} {
		t.Run(c.name, func(t *testing.T) {
			org, config := petratest.NewOrganization(), fast
			if c.tenants > 0 {
				org = petratest.Random(1, petratest.RandomConfig{Start: time.Now(), Tenants: c.tenants, Incidents: 3 * c.tenants, Open: max(3, c.tenants/50)})
				config += "tenants:\n"
				for _, tenant := range org.Tenants() {
					config += fmt.Sprintf("- id: %q\n", tenant.ID)
				}
			}
			api := petratest.NewAPI(org, petratest.Options{Limit: -1})
			e := newExporter(t, api, config)
			e.until(fmt.Sprintf("petra_tenants{state=\"complete\"} %d", c.tenants))
			if c.fault != "" {
				api.SetFault(petratest.Fault{Kind: c.fault})
				e.until(c.then)
			}
			b := newBrowser(t)
			for _, scheme := range []string{"light", "dark"} {
				b.open(e.url+"/status", c.width, c.height, scheme)
				b.checkAccess()
				b.picture(c.name + "-" + scheme)
			}
			if c.tenants > 0 {
				b.checkTable(org)
			}
			for id, want := range map[string]string{"wrong": c.wrong, "open": c.open} {
				if got := value[string](b, `document.querySelector("[aria-labelledby=`+id+`]").innerText`); !strings.Contains(got, want) {
					t.Errorf("%s: %q lacks %q", id, got, want)
				}
			}
			if wide := value[bool](b, `document.documentElement.scrollWidth > window.innerWidth`); wide {
				t.Error("the page is wider than the window")
			}
			b.checkQuiet(e.url + "/status")
		})
	}
}

// shown are the names of the tenants that the table shows.
const shown = `[...document.querySelectorAll("table.searchable tbody tr")].filter((r) => !r.hidden).map((r) => r.cells[0].textContent)`

// checkTable sorts the tenants by their open incidents, the most first, and finds
// one of them all.
func (b *browser) checkTable(org *petratest.Organization) {
	b.t.Helper()
	tenants := org.Tenants()
	open := map[string]int{}
	for _, in := range org.Incidents(time.Now()) {
		if in.DwellMinutes == nil {
			open[in.TenantID]++
		}
	}
	want := map[string]int{}
	var counts []int
	for _, tenant := range tenants {
		want[tenant.Name] = open[tenant.ID]
		counts = append(counts, open[tenant.ID])
	}
	slices.SortFunc(counts, func(a, b int) int { return b - a })
	b.do(chromedp.Click("table.searchable th:nth-child(4) button", chromedp.ByQuery))
	names, got := value[[]string](b, shown), value[[]int](b, `[...document.querySelectorAll("table.searchable tbody tr")].map((r) => Number(r.cells[3].textContent))`)
	if !slices.Equal(got, counts) {
		b.t.Errorf("sorted, %d tenants begin with %v open incidents, want %d with %v", len(got), got[:min(5, len(got))], len(counts), counts[:5])
	}
	for i, name := range names {
		if n, ok := want[name]; !ok || n != got[i] {
			b.t.Errorf("%s has %d open incidents in the table, want %d", name, got[i], n)
		}
	}
	one := tenants[len(tenants)/2]
	b.do(chromedp.SendKeys("#search", one.ID, chromedp.ByQuery))
	if got := value[[]string](b, shown); !slices.Equal(got, []string{one.Name}) {
		b.t.Errorf("a search for %s finds %d tenants, %v, want %s", one.ID, len(got), got[:min(3, len(got))], one.Name)
	}
	if got, want := value[string](b, `document.querySelector("output").textContent`), fmt.Sprintf("1 of %d", len(tenants)); got != want {
		b.t.Errorf("the page says %q, want %q", got, want)
	}
}

// TestKeyboard finds and sorts tenants without a mouse.
func TestKeyboard(t *testing.T) {
	org := petratest.NewOrganization()
	now := time.Now()
	for i, name := range []string{"Bolt", "Acme", "Corvus"} {
		id := fmt.Sprint("T", i)
		org.SetTenant(petratest.Tenant{ID: id, Name: name})
		for n := range i * 5 { // 0, 5, 10 open ones: as text, 10 comes before 5
			org.Add(petratest.Incident{ID: fmt.Sprint(id, n), TenantID: id, CreatedAt: now, OccurredAt: now})
		}
	}
	e := newExporter(t, petratest.NewAPI(org, petratest.Options{Limit: -1}), fast)
	e.until(`petra_tenants{state="complete"} 3`)
	b := newBrowser(t)
	b.open(e.url+"/status", 1400, 900, "light")
	want := func(what string, names ...string) {
		t.Helper()
		if got := value[[]string](b, shown); fmt.Sprint(got) != fmt.Sprint(names) {
			t.Errorf("%s: %v, want %v", what, got, names)
		}
	}
	want("at first", "Acme", "Bolt", "Corvus")

	open := `table.searchable th:nth-child(4)`
	for _, step := range []struct {
		order string
		names []string
	}{
		{"descending", []string{"Corvus", "Acme", "Bolt"}},
		{"ascending", []string{"Bolt", "Acme", "Corvus"}},
	} {
		b.do(chromedp.Focus(open+" button"), chromedp.KeyEvent(kb.Enter))
		want("by open incidents, "+step.order, step.names...)
		if got := value[string](b, `document.querySelector("`+open+`").getAttribute("aria-sort")`); got != step.order {
			t.Errorf("aria-sort is %q, want %s", got, step.order)
		}
	}
	b.do(chromedp.Focus("#search"), chromedp.KeyEvent("cor"))
	want("found", "Corvus")
	if got := value[string](b, `document.querySelector("output").textContent`); got != "1 of 3" {
		t.Errorf("the page says %q, want 1 of 3", got)
	}
	b.checkAccess()
	b.checkQuiet(e.url + "/status")
}

// TestWithoutScript holds that the page says the same where no script runs.
func TestWithoutScript(t *testing.T) {
	org := petratest.Random(1, petratest.RandomConfig{Start: time.Now(), Tenants: 8, Incidents: 40, Open: 3})
	e := newExporter(t, petratest.NewAPI(org, petratest.Options{Limit: -1}), fast)
	e.until(`petra_tenants{state="complete"} 8`)
	b := newBrowser(t)
	b.do(emulation.SetScriptExecutionDisabled(true))
	b.open(e.url+"/status", 1400, 900, "light")
	var text, search string
	b.do(chromedp.Text("main", &text), chromedp.AttributeValue(".search", "hidden", &search, nil), emulation.SetScriptExecutionDisabled(false))
	for _, tenant := range org.Tenants() {
		if !strings.Contains(text, tenant.Name) {
			t.Errorf("%s is missing in:\n%s", tenant.Name, text)
		}
	}
	if strings.Contains(text, "Find a tenant") {
		t.Error("the page offers a search that does nothing")
	}
	if n := value[int](b, `document.querySelectorAll("thead button").length`); n != 0 {
		t.Errorf("the page has %d buttons that do nothing", n)
	}
}

// TestReload holds that the page reloads after a minute and keeps what one has
// sorted and searched for, but not while somebody types or marks text.
func TestReload(t *testing.T) {
	org := petratest.Random(1, petratest.RandomConfig{Start: time.Now(), Tenants: 8, Incidents: 40, Open: 3})
	e := newExporter(t, petratest.NewAPI(org, petratest.Options{Limit: -1}), fast)
	e.until(`petra_tenants{state="complete"} 8`)
	b := newBrowser(t)
	b.do(chromedp.ActionFunc(func(ctx context.Context) error {
		// The test says when the time is over.
		_, err := page.AddScriptToEvaluateOnNewDocument(`const waits = [], real = setTimeout; let over;
			window.setTimeout = (f, ms) => f.name === "reload" ? (over = f, waits.push(ms)) : real(f, ms);`).Do(ctx)
		return err
	}))
	b.open(e.url+"/status#open", 1400, 900, "light")
	// reloads lets the time be over that the page waits, and reports what follows.
	reloads := func() bool {
		t.Helper()
		if waits := value[[]int](b, `document.title = "old"; over(); waits`); len(waits) > 1 {
			return false
		}
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			var waits []int // none between the two pages
			if err := chromedp.Run(b.ctx, chromedp.Evaluate(`document.title === "old" ? [] : waits`, &waits)); err == nil && slices.Equal(waits, []int{60_000}) {
				return true
			}
		}
		t.Fatal("the page neither reloads nor puts it off")
		return false
	}
	if !reloads() {
		t.Error("at first: the page does not reload")
	}
	b.do(chromedp.Focus("#search"), chromedp.KeyEvent("t"))
	if reloads() {
		t.Error("the page reloads while somebody types")
	}
	b.do(chromedp.Click("table.searchable th:nth-child(4) button", chromedp.ByQuery))
	names := value[[]string](b, shown)
	b.do(chromedp.Evaluate(`waits.length = 0`, nil))
	for range 2 {
		if !reloads() {
			t.Error("sorted: the page does not reload")
		}
	}
	if got := value[[]string](b, shown); !slices.Equal(got, names) {
		t.Errorf("after a reload the table shows %v, before %v", got, names)
	}
	if got := value[string](b, `document.querySelector("#search").value`); got != "t" {
		t.Errorf("after a reload the search is %q, before t", got)
	}
	b.do(chromedp.Evaluate(`getSelection().selectAllChildren(document.querySelector("h1"))`, nil))
	if reloads() {
		t.Error("the page reloads while somebody marks text")
	}
	b.checkQuiet(e.url + "/status")
}
