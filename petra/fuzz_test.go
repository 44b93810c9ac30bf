package petra_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// answers are bodies that the simulated API sends, the good and the bad ones.
func answers(path string) (bodies [][]byte) {
	small := petratest.NewOrganization()
	small.SetTenant(petratest.Tenant{ID: "ZZk90t", Name: "Ärzte & Söhne", MicrosoftID: "A1B2C3D4-5E6F-7890-ABCD-EF1234567890", Onboarded: apiDate.Add(-time.Hour), Paused: true})
	small.Add(petratest.Incident{TenantID: "ZZk90t", CreatedAt: apiDate.Add(-time.Hour), OccurredAt: apiDate.Add(-2 * time.Hour)})
	for _, org := range []*petratest.Organization{petratest.Documented(), small, petratest.NewOrganization()} {
		for _, fault := range []petratest.FaultKind{"", petratest.BadJSON, petratest.NullList, petratest.EmptyList, petratest.HTML} {
			api := petratest.NewAPI(org, petratest.Options{})
			if fault != "" {
				api.SetFault(petratest.Fault{Kind: fault})
			}
			request := httptest.NewRequest(http.MethodGet, path, nil)
			request.Header.Set("Authorization", "Bearer "+testKey)
			request.Header.Set("User-Agent", "test")
			response := httptest.NewRecorder()
			api.ServeHTTP(response, request)
			bodies = append(bodies, response.Body.Bytes())
		}
	}
	return bodies
}

// listed counts the elements of a list in an answer, read in another way than
// the client's.
func listed(body []byte, list string) (n int, ok bool) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	target := map[string]any{}
	if decoder.Decode(&target) != nil {
		return 0, false
	}
	for name := range target {
		if name != list && strings.EqualFold(name, list) {
			return 0, false // encoding/json takes it for the list too: which one counts is not our matter
		}
	}
	elements, ok := target[list].([]any)
	return len(elements), ok
}

// wantUndecodable fails the test unless the error is of that kind, and short
// enough to stand in a log.
func wantUndecodable(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, petra.ErrUndecodable) || len(err.Error()) > 300 {
		t.Errorf("not what a log should hold of an undecodable answer: %.400q", err)
	}
}

// FuzzIncidents: whatever the API answers, all elements are accounted for, what
// is accepted is in range, and a bad one costs itself alone.
func FuzzIncidents(f *testing.F) {
	const neighbour = `{"id":"neighbour","createdAt":"2026-03-01T10:00:00Z","occurredAt":"2026-03-01T09:00:00Z","remediationStatus":"REMEDIATED","dwellTimeMinutes":61,"tenant":{"petraTenantId":"ZZk90t"}}`
	for _, body := range answers("/v1/incidents?limit=500") {
		f.Add(body)
	}
	for _, field := range []string{
		`"id":"a\u0000\u202eb"`, `"id":"` + strings.Repeat("ä", 129) + `"`, `"id":7`, `"id":""`, `"ID":"x"`, `"url":"javascript:alert(1)"`, "\"url\":\"https://\xff\xfe\"",
		`"createdAt":"9999-12-31T23:59:59Z"`, `"createdAt":"1969-12-31T23:59:59Z"`, `"createdAt":"2026-03-01T12:59:59+14:00"`, `"createdAt":null`, `"createdAt":1772366400`, `"occurredAt":"0000-01-01T00:00:00Z"`,
		`"dwellTimeMinutes":1e999`, `"dwellTimeMinutes":-1`, `"dwellTimeMinutes":52560001`, `"dwellTimeMinutes":0.0000000001`, `"dwellTimeMinutes":"60"`, `"dwellTimeMinutes":[1]`,
		`"isLive":"true"`, `"tenant":null`, `"tenant":[]`, `"tenant":{"petraTenantId":"\ud800"}`, `"tenant":{"petraTenantId":"a b\u00a0"}`, `"user":"x"`, `"remediationStatus":{}`,
	} {
		element := `{` + field + `,` + neighbour[1:]
		f.Add([]byte(element))
		f.Add([]byte(`{"incidents":[` + element + `]}`))
	}
	for _, body := range []string{`{"incidents": [` + object(fields()) + `, null, 17]}`, `{"incidents":[null,1,"x",[],{}]}`, `{"incidents":{}}`, `{"incidents":[],"incidents":[{}]}`, `[]`, ``, strings.Repeat(`[`, 20000), `{"incidents":[` + strings.Repeat(neighbour+",", 500) + neighbour + `]}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		checkIncidents(t, body)
		if !json.Valid(body) {
			return
		}
		answer := checkIncidents(t, fmt.Appendf(nil, `{"incidents":[%s,%s]}`, body, neighbour))
		if answer == nil || answer.Received != 2 || len(answer.Incidents) == 0 || answer.Incidents[len(answer.Incidents)-1].ID != "neighbour" {
			t.Errorf("one element costs its neighbour: %+v", answer)
		}
	})
}

// checkIncidents decodes an answer, and returns nil where that is refused.
func checkIncidents(t *testing.T, body []byte) *petra.Incidents {
	t.Helper()
	answer, err := petra.DecodeIncidents(body, apiDate)
	elements, isList := listed(body, "incidents")
	if err != nil {
		wantUndecodable(t, err)
		if isList && json.Valid(body) && (answer == nil || elements == 0 || len(answer.Incidents) > 0) {
			t.Errorf("a list of %d incidents is refused: %v", elements, err)
		}
		return nil
	}
	lost := len(answer.Unassigned())
	if over := answer.Received - petra.MaxElements; over > 0 {
		lost += over - 1 // all that is not decoded counts as one
	}
	for _, r := range answer.Rejected {
		if !slices.Contains(petra.Reasons(petra.RouteIncidents), r.Reason) {
			t.Errorf("unknown reason %q", r.Reason)
		}
		if r.Key == "" || utf8.RuneCountInString(r.Key) > petra.MaxIDLength {
			t.Errorf("a rejection with the key %q", r.Key)
		}
	}
	if len(answer.Incidents)+lost != answer.Received || isList && answer.Received != elements {
		t.Errorf("%d accepted and %d rejected of %d received, in a list of %d", len(answer.Incidents), lost, answer.Received, elements)
	}
	if answer.Truncated() != (answer.Received >= petra.MaxIncidents) {
		t.Errorf("%d received, but full is %t", answer.Received, answer.Truncated())
	}
	for _, i := range answer.Incidents {
		checkIncident(t, i)
	}
	if oldest := answer.Oldest(); !oldest.IsZero() && !slices.ContainsFunc(answer.Incidents, func(i petra.Incident) bool { return i.CreatedAt.Equal(oldest) }) {
		t.Errorf("no incident is of %s", oldest)
	}
	return answer
}

func checkIncident(t *testing.T, i petra.Incident) {
	t.Helper()
	for _, at := range []time.Time{i.CreatedAt, i.OccurredAt} {
		if !at.IsZero() && (at.Unix() < 0 || at.After(apiDate.Add(time.Hour))) {
			t.Errorf("the time %s is believed", at)
		}
	}
	if i.Dwell < 0 || i.Dwell > petra.MaxDwell || !i.HasDwell && i.Dwell != 0 {
		t.Errorf("the dwell %s is believed", i.Dwell)
	}
	if at, ok := i.RemediatedAt(); ok && at.Before(i.OccurredAt) {
		t.Errorf("remediated at %s, before %s", at, i.OccurredAt)
	}
	if i.ID == "" || utf8.RuneCountInString(i.ID) > petra.MaxIDLength {
		t.Errorf("the ID %q is accepted", i.ID)
	}
	checkTenant(t, i.Tenant)
	for _, text := range []string{i.ID, i.URL, i.RemediationStatus, i.UserPrincipalName} {
		if !utf8.ValidString(text) {
			t.Errorf("%q is no UTF-8", text)
		}
	}
}

func checkTenant(t *testing.T, tenant petra.Tenant) {
	t.Helper()
	if tenant.ID == "" || utf8.RuneCountInString(tenant.ID) > petra.MaxIDLength || strings.ContainsAny(tenant.ID, "\x00\n\u202e\u2066\ufffd\u200b") {
		t.Errorf("the tenant's ID %q is accepted", tenant.ID)
	}
	if !tenant.Onboarded.IsZero() && (tenant.Onboarded.Unix() < 0 || tenant.Onboarded.After(apiDate.Add(24*time.Hour))) {
		t.Errorf("onboarded at %s is believed", tenant.Onboarded)
	}
	for _, text := range []string{tenant.ID, tenant.Name, tenant.MicrosoftID} {
		if !utf8.ValidString(text) {
			t.Errorf("%q is no UTF-8", text)
		}
	}
}

// FuzzTenants: a list is taken whole or not at all, each tenant once, and a bad
// one costs itself alone.
func FuzzTenants(f *testing.F) {
	const neighbour = `{"petraTenantId":"neighbour","name":"N","microsoftTenantId":"a1b2c3d4-5e6f-7890-abcd-ef1234567890","isPaused":false,"onboardingDate":"2025-01-01"}`
	for _, body := range answers("/v1/tenants") {
		f.Add(body)
	}
	for _, field := range []string{
		`"onboardingDate":"2999-01-01"`, `"onboardingDate":"1900-01-01"`, `"onboardingDate":"2025-01-01T00:00:00"`, `"onboardingDate":20250101`, `"isPaused":"yes"`, `"isPaused":null`,
		`"microsoftTenantId":"A1B2"`, `"microsoftTenantId":{}`, `"name":["x"]`, "\"name\":\"\xff\u202e\"", `"petraTenantId":""`, `"petraTenantId":"a\u200bb"`, `"petraTenantId":"` + strings.Repeat("x", 129) + `"`,
	} {
		f.Add([]byte(`{` + field + `,` + neighbour[1:]))
	}
	for _, body := range []string{`{"totalTenants":2,"tenants":[` + neighbour + `,` + neighbour + `]}`, `{"totalTenants":3,"tenants":[` + neighbour + `]}`, `{"totalTenants":-1,"tenants":[]}`, `{"totalTenants":1.5,"tenants":[{}]}`, `{"tenants":[null,1]}`, `{"totalTenants":null,"tenants":[]}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		checkTenants(t, body)
		if !json.Valid(body) {
			return
		}
		tenants := checkTenants(t, fmt.Appendf(nil, `{"totalTenants":2,"tenants":[%s,%s]}`, body, neighbour))
		if tenants == nil || !slices.ContainsFunc(tenants.Tenants, func(tenant petra.Tenant) bool { return tenant.ID == "neighbour" }) {
			t.Errorf("one element costs its neighbour: %+v", tenants)
		}
	})
}

// checkTenants decodes a list, and returns nil where that is refused.
func checkTenants(t *testing.T, body []byte) *petra.Tenants {
	t.Helper()
	tenants, err := petra.DecodeTenants(body, apiDate)
	if err != nil {
		wantUndecodable(t, err)
		return nil
	}
	if elements, ok := listed(body, "tenants"); ok && len(tenants.Tenants)+len(tenants.Rejected) != elements {
		t.Errorf("%d tenants and %d rejected in a list of %d", len(tenants.Tenants), len(tenants.Rejected), elements)
	}
	seen := map[string]bool{}
	for _, tenant := range tenants.Tenants {
		checkTenant(t, tenant)
		if seen[tenant.ID] {
			t.Errorf("%q is there twice", tenant.ID)
		}
		seen[tenant.ID] = true
	}
	return tenants
}

// FuzzWait: a 429 or 503 closes the route for as long as the API names, in
// seconds or with a date, but neither for less than a second nor for more than
// MaxWait. Where it names nothing that can be read, a 429 closes it for a
// minute, and a 503 does not.
func FuzzWait(f *testing.F) {
	date := apiDate.Format(http.TimeFormat)
	for _, value := range []string{
		"", "0", "1", "60", "599.5", "600", "601", "-1", "-0", "+30", " 30 ", "0.0001", "1e3", "1e-400", "1e400", "NaN", "Inf", "-Inf", "0x1p4", "30s", "one", "９", "1_000",
		"99999999999999999999", "31536000", apiDate.Add(90 * time.Second).Format(http.TimeFormat), apiDate.Add(-time.Hour).Format(http.TimeFormat), apiDate.Add(24 * 365 * time.Hour).Format(http.TimeFormat),
		apiDate.Add(time.Minute).Format(time.RFC850), apiDate.Add(time.Minute).Format(time.ANSIC), "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "2026-03-01T12:01:00Z", "\xff\x00", strings.Repeat("9", 10000),
	} {
		f.Add(http.StatusTooManyRequests, value, "", date)
		f.Add(http.StatusTooManyRequests, "", value, date)
		f.Add(http.StatusTooManyRequests, "garbage", value, "no date")
		f.Add(http.StatusServiceUnavailable, value, value, date)
		f.Add(http.StatusBadGateway, value, value, date)
	}
	f.Fuzz(func(t *testing.T, status int, own, standard, date string) {
		e := petra.NewStatusError(&http.Response{StatusCode: status, Header: http.Header{
			"Retry-After-Public-Api": {own}, "Retry-After": {standard}, "Date": {date},
		}})
		if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
			if e.Wait != 0 || e.Asked != 0 {
				t.Errorf("a %d closes the route for %s", status, e.Wait)
			}
			return
		}
		if e.Wait < time.Second && (e.Wait != 0 || status == http.StatusTooManyRequests) || e.Wait > petra.MaxWait || e.Wait%time.Second != 0 {
			t.Errorf("waits %s", e.Wait)
		}
		if e.Asked != 0 && (e.Asked <= petra.MaxWait || e.Wait != petra.MaxWait) {
			t.Errorf("asked to wait %s, waits %s", e.Asked, e.Wait)
		}
		if text := e.Error(); !utf8.ValidString(text) || len(text) > 200 {
			t.Errorf("the error is %q", text)
		}
		now, err := http.ParseTime(date)
		if err != nil {
			return // our own clock holds, which goes on
		}
		want, known := namedWait(own, now)
		if !known {
			want, known = namedWait(standard, now)
		}
		switch {
		case known:
		case status == http.StatusTooManyRequests:
			want = time.Minute
		default:
			want = 0
		}
		if got := max(e.Wait, e.Asked); got != want {
			t.Errorf("waits %s, asked %s, want %s of %q, %q, %q", e.Wait, e.Asked, want, own, standard, date)
		}
	})
}

// namedWait is the wait that a header's value names, read in another way than
// the client's.
func namedWait(value string, now time.Time) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds > 0 && !math.IsInf(seconds, 0) {
		return time.Duration(min(math.Ceil(seconds), math.MaxInt32)) * time.Second, true
	}
	at, err := http.ParseTime(value)
	return time.Duration(min(at.Unix()-now.Unix(), math.MaxInt32)) * time.Second, err == nil && at.After(now)
}
