package collector_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// restart ends an exporter and starts another with the same state file.
func restart(t *testing.T, e *exporter, yaml, file string) *exporter {
	t.Helper()
	e.stop()
	return newExporterWithState(t, e.api, yaml, file)
}

// ofIncidents are the samples that a state file keeps.
func ofIncidents(s samples) samples {
	kept := samples{}
	for key, v := range s {
		name, _, _ := strings.Cut(key, "{")
		ours := strings.HasPrefix(name, "petra_") && !strings.HasPrefix(name, "petra_api_") && !strings.HasPrefix(name, "petra_state_") && !strings.HasPrefix(name, "petra_refresh")
		if ours && name != "petra_up" && name != "petra_scrapes_deadline_exceeded_total" && !strings.HasPrefix(name, "petra_exporter_") {
			kept[key] = v
		}
	}
	return kept
}

// atOnce scrapes without waiting for a refresh.
func (e *exporter) atOnce() samples {
	e.t.Helper()
	return parse(e.t, e.get("/metrics", "X-Prometheus-Scrape-Timeout-Seconds", "0.1").Body.String())
}

// TestStateKeepsAll: store, file, store gives an equal exposition, in organizations
// with withdrawn, truncated, returned and dropped tenants and incidents.
func TestStateKeepsAll(t *testing.T) {
	seeds := uint64(5)
	if testing.Short() { // under the race detector each takes nine seconds
		seeds = 2
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "state.json")
				now := time.Now()
				org := petratest.Random(seed, petratest.RandomConfig{
					Start: now, Tenants: 12, Incidents: 900, History: 300 * 24 * time.Hour, Open: 20, OldOpen: 6, Every: time.Minute, FalsePositives: 0.1,
				})
				ids := org.Tenants()
				for i := range 520 { // truncates a tenant that has an open incident out of reach then
					org.Add(petratest.Incident{ID: fmt.Sprint("more-", i), TenantID: ids[0].ID, CreatedAt: now.Add(-time.Duration(i) * time.Minute), OccurredAt: now.Add(-time.Hour), RemediatedAt: now, Live: i%3 == 0})
				}
				org.Add(petratest.Incident{ID: "bad", TenantID: ids[1].ID, CreatedAt: now, Raw: []byte(`{"id":"bad","createdAt":"never","tenant":{"petraTenantId":"` + ids[1].ID + `"}}`)})
				api := petratest.NewAPI(org, petratest.Options{})
				e := newExporterWithState(t, api, "native_histograms: true", file)
				runScrapes(e, 5*time.Minute)
				org.RemoveTenant(ids[2].ID)
				org.RemoveTenant(ids[3].ID)
				for _, view := range org.Incidents(time.Now())[:3] {
					org.Update(view.ID, func(i *petratest.Incident) { i.WithdrawnAt = time.Now() })
				}
				runScrapes(e, 4*time.Minute)
				org.SetTenant(ids[3])
				runScrapes(e, 4*time.Minute)
				before := ofIncidents(e.scrape())
				api.SetFault(petratest.Fault{Kind: petratest.Hang})
				e = restart(t, e, "native_histograms: true", file)
				after := ofIncidents(e.atOnce())
				if len(before) < 500 {
					t.Fatalf("only %d samples: the test shows little", len(before))
				}
				compareSamples(t, before, after)
				if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("mode %v, %v", info.Mode(), err)
				}
				api.ClearFault()
				runScrapes(e, time.Minute)
				neverFalls(t, neverFalls(t, nil, before), ofIncidents(e.scrape()))
				withinLimit(t, api.Requests())
			})
		})
	}
}

func compareSamples(t *testing.T, before, after samples) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(before)) {
		if v, ok := after[key]; !ok || v != before[key] {
			t.Errorf("%s was %v, is %v (there: %t)", key, before[key], v, ok)
		}
	}
	for key, v := range after {
		if _, ok := before[key]; !ok {
			t.Errorf("%s is new: %v", key, v)
		}
	}
}

// TestWarmStart: after a shutdown in order, tenants are complete on the first
// scrape, full reads go on at once, and the limit holds over the restart.
func TestWarmStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "state.json")
		api := petratest.NewAPI(bigOrg(time.Now()), petratest.Options{})
		e := newExporterWithState(t, api, "", file)
		runScrapes(e, 5*time.Minute)
		e.scrape().want(t, `petra_tenants{state="complete"}`, 3)
		for range 3 {
			e = restart(t, e, "", file)
			before := len(api.Requests())
			e.scrape().want(t, `petra_tenants{state="complete"}`, 3)
			runScrapes(e, 45*time.Second)
			whole := 0
			for _, r := range api.Requests()[before:] {
				if petratest.IsFullRead(r) {
					whole++
				}
			}
			if whole == 0 {
				t.Error("no full read in the first 45 s after a warm start")
			}
		}
		withinLimit(t, api.Requests())
	})
}

// TestBlockedOverRestart: a wait that a 429 asked for is waited out.
func TestBlockedOverRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "state.json")
		api := petratest.NewAPI(smallOrg(time.Now()), petratest.Options{})
		e := newExporterWithState(t, api, "", file)
		e.scrape()
		api.SetFault(petratest.Fault{Kind: petratest.Status429, RetryHeader: "Retry-After-public-api", RetryValue: "300", Times: 1, Match: petratest.IsOrgRead})
		time.Sleep(15 * time.Second)
		e.scrape()
		e = restart(t, e, "", file)
		s := e.scrape()
		s.want(t, `petra_api_blocked_until_timestamp_seconds{route="incidents"}`, float64(time.Now().Unix()+300))
		if n, _ := s.value(`petra_refreshes_deferred_total{reason="blocked"}`); n == 0 {
			t.Error("no refresh was put off")
		}
		s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
	})
}

// TestUnusableStateFile: it is set aside, and the start is cold.
func TestUnusableStateFile(t *testing.T) {
	good := func(t *testing.T) (file string, api *petratest.API, content []byte) {
		file = filepath.Join(t.TempDir(), "state.json")
		api = petratest.NewAPI(smallOrg(time.Now()), petratest.Options{})
		e := newExporterWithState(t, api, "", file)
		e.scrape()
		e.stop()
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return file, api, content
	}
	changed := func(change func(state map[string]any)) func(*testing.T, []byte) []byte {
		return func(t *testing.T, content []byte) []byte {
			var state map[string]any
			if err := json.Unmarshal(content, &state); err != nil {
				t.Fatal(err)
			}
			change(state)
			content, err := json.Marshal(state)
			if err != nil {
				t.Fatal(err)
			}
			return content
		}
	}
	with := func(key string, value any) func(*testing.T, []byte) []byte {
		return changed(func(state map[string]any) { state[key] = value })
	}
	for name, c := range map[string]struct {
		change func(*testing.T, []byte) []byte
		says   string // in the log; empty: the file is good
	}{
		"as written":         {func(_ *testing.T, b []byte) []byte { return b }, ""},
		"the version before": {with("version", 0), ""},
		"a later version":    {with("version", 99), "format version 99"},
		"no such version":    {with("version", -1), "format version -1"},
		"no version":         {changed(func(state map[string]any) { delete(state, "version") }), "it has no version"},
		"only the API": {changed(func(state map[string]any) {
			maps.DeleteFunc(state, func(key string, _ any) bool { return key != "api_url" })
		}), "it has no version"},
		"another API": {with("api_url", "https://api.example.com"), "it is for another API, https://api.example.com"},
		"cut":         {func(_ *testing.T, b []byte) []byte { return b[:len(b)/2] }, "incomplete state file"},
		"empty":       {func(*testing.T, []byte) []byte { return nil }, "incomplete state file"},
		"zeros":       {func(_ *testing.T, b []byte) []byte { return make([]byte, len(b)) }, "incomplete state file"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				file, api, content := good(t)
				bad := c.change(t, content)
				if err := os.WriteFile(file, bad, 0o600); err != nil {
					t.Fatal(err)
				}
				api.SetFault(petratest.Fault{Kind: petratest.Hang})
				e := newExporterWithState(t, api, "", file)
				s := e.atOnce()
				kept, err := os.ReadFile(file + ".bad")
				if c.says == "" {
					s.want(t, `petra_tenants{state="complete"}`, 3)
					if err == nil {
						t.Error("a good file was set aside")
					}
					return
				}
				s.want(t, `petra_tenants{state="complete"}`, 0)
				if string(kept) != string(bad) {
					t.Errorf("the bad file is not kept: %q, %v", kept, err)
				}
				if n := e.log.lines(c.says); n != 1 {
					t.Errorf("%d lines with %q in the log:\n%s", n, c.says, e.log)
				}
			})
		})
	}
}

// TestStateAfterCrash: what a killed process has left says nothing certain of
// the budget, so that there are no full reads in the first minute.
func TestStateAfterCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "state.json")
		api := petratest.NewAPI(bigOrg(time.Now()), petratest.Options{})
		e := newExporterWithState(t, api, "", file)
		runScrapes(e, 5*time.Minute)
		content, err := os.ReadFile(file) // as a kill would leave it
		if err != nil {
			t.Fatal(err)
		}
		before := neverFalls(t, nil, ofIncidents(e.scrape()))
		e.stop()
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		begun, requests := time.Now(), len(api.Requests())
		e = newExporterWithState(t, api, "", file)
		s := e.scrape()
		s.want(t, `petra_tenants{state="complete"}`, 3)
		neverFalls(t, before, ofIncidents(s))
		runScrapes(e, 2*time.Minute)
		for _, r := range api.Requests()[requests:] {
			if petratest.IsFullRead(r) && r.Time.Sub(begun) < time.Minute {
				t.Errorf("a full read %s after a crash", r.Time.Sub(begun))
			}
		}
	})
}

// TestStateFileCannotBeWritten: a write that fails is told, and all else goes
// on; when writes succeed again, so is that.
func TestStateFileCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		file := filepath.Join(folder, "state.json")
		e := newExporterWithState(t, petratest.NewAPI(smallOrg(time.Now()), petratest.Options{}), "", file)
		time.Sleep(time.Second)
		e.scrape().want(t, "petra_state_last_save_successful", 1)
		written := float64(time.Now().Add(-time.Second).Unix())
		// Root may write anywhere: a folder in the file's place stops it.
		if err := os.Rename(file, file+".old"); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(file, 0o700); err != nil {
			t.Fatal(err)
		}
		runScrapes(e, 3*time.Minute)
		s := e.scrape()
		s.want(t, "petra_state_last_save_successful", 0)
		s.want(t, "petra_state_last_save_success_timestamp_seconds", written)
		s.want(t, `petra_open_incidents{live="false",tenant_id="Aaaaa1"}`, 1)
		if n := e.log.lines("the state file cannot be written"); n != 1 {
			t.Errorf("the log says so %d times:\n%s", n, e.log)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		runScrapes(e, 2*time.Minute)
		e.scrape().want(t, "petra_state_last_save_successful", 1)
		if left, err := filepath.Glob(filepath.Join(folder, ".tmp-*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
}

// TestStateFileIsTaken: two processes never share a file.
func TestStateFileIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "state.json")
		e := newExporterWithState(t, petratest.NewAPI(smallOrg(time.Now()), petratest.Options{}), "", file)
		second := newCollector(t)
		if err := second.OpenState(file); err == nil || !strings.Contains(err.Error(), "in use by another process") {
			t.Errorf("got %v", err)
		}
		e.stop()
		if err := second.OpenState(file); err != nil {
			t.Errorf("after the first has ended: %v", err)
		}
		if err := newCollector(t).OpenState(filepath.Join(t.TempDir(), "missing", "state.json")); err == nil || !strings.Contains(err.Error(), "--state.file") {
			t.Errorf("in a folder that is not there: %v", err)
		}
	})
}

// TestStateHasNoPersonalData: no user is in the file, also where users are
// published.
func TestStateHasNoPersonalData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "state.json")
		e := newExporterWithState(t, petratest.NewAPI(smallOrg(time.Now()), petratest.Options{}), "open_incident_user: true", file)
		user := ""
		for key := range e.scrape().named("petra_open_incident_info") {
			user = label(key, "user_principal_name")
		}
		e.stop()
		content, err := os.ReadFile(file)
		if err != nil || user == "" {
			t.Fatal(user, err)
		}
		if strings.Contains(string(content), user) || strings.Contains(string(content), "@") {
			t.Errorf("the file has a user in it:\n%s", content)
		}
	})
}
