package petra_test

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// apiDate is the API's clock in the tests of what it answers; ours is another.
var apiDate = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// good answers each request with status 200, apiDate and that body.
func good(body string) http.HandlerFunc {
	return answering(http.StatusOK, http.Header{"Date": {apiDate.Format(http.TimeFormat)}}, body)
}

// incidents returns what the client makes of an answer.
func incidents(t *testing.T, body string) (*petra.Incidents, error) {
	t.Helper()
	return newClient(t, served(t, good(body))).Incidents(t.Context(), petra.IncidentsQuery{})
}

func TestIncidentsQuery(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	for _, test := range []struct {
		name      string
		query     petra.IncidentsQuery
		tenantID  string
		startDate string
	}{
		{"organization", petra.IncidentsQuery{}, "", ""},
		{"tenant", petra.IncidentsQuery{TenantID: "ZZk90t"}, "ZZk90t", ""},
		{"special characters", petra.IncidentsQuery{TenantID: "a&limit=1 +?#é"}, "a&limit=1 +?#é", ""},
		{"date", petra.IncidentsQuery{Since: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}, "", "2026-01-01"},
		{"midnight elsewhere", petra.IncidentsQuery{Since: time.Date(2026, 1, 1, 0, 0, 0, 0, berlin)}, "", "2025-12-31T23:00:00Z"},
		{"UTC's midnight elsewhere", petra.IncidentsQuery{Since: time.Date(2026, 1, 1, 1, 0, 0, 0, berlin)}, "", "2026-01-01"},
		{"time", petra.IncidentsQuery{Since: time.Date(2026, 1, 1, 8, 30, 15, 0, time.UTC)}, "", "2026-01-01T08:30:15Z"},
		{"never later than asked", petra.IncidentsQuery{Since: time.Date(2026, 1, 1, 0, 0, 0, 999, time.UTC)}, "", "2026-01-01T00:00:00Z"},
		{"both", petra.IncidentsQuery{TenantID: "t", Since: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}, "t", "2026-01-01"},
	} {
		t.Run(test.name, func(t *testing.T) {
			api := petratest.NewAPI(petratest.NewOrganization(), petratest.Options{UnknownTenant: http.StatusOK})
			if _, err := newClient(t, newPipe(t, api)).Incidents(t.Context(), test.query); err != nil {
				t.Fatal(err)
			}
			got := api.Requests()[0]
			want := petratest.Request{
				Time: got.Time, Status: 200,
				Route: "incidents", TenantID: test.tenantID, StartDate: test.startDate, Limit: "500",
			}
			if got != want {
				t.Errorf("sent %+v, want %+v", got, want)
			}
		})
	}
}

func TestRequestOnTheWire(t *testing.T) {
	for _, test := range []struct {
		name, base string
		route      petra.Route
		uri        string
	}{
		{"incidents", "http://petra.test", petra.RouteIncidents, "/v1/incidents?limit=500"},
		{"tenants", "http://petra.test", petra.RouteTenants, "/v1/tenants"},
		{"a slash at the end", "http://petra.test/", petra.RouteTenants, "/v1/tenants"},
		{"below a path", "http://petra.test/proxied/petra/", petra.RouteTenants, "/proxied/petra/v1/tenants"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got *http.Request
			c := newClient(t, served(t, func(w http.ResponseWriter, r *http.Request) {
				got = r.Clone(t.Context())
				good(`{"incidents": [], "tenants": []}`)(w, r)
			}), withURL(t, test.base))
			if err := c.ask(t.Context(), test.route); err != nil {
				t.Fatal(err)
			}
			if got.Method != http.MethodGet || got.RequestURI != test.uri || got.Host != "petra.test" || got.ContentLength != 0 {
				t.Errorf("%s %s at %s with %d bytes, want GET %s", got.Method, got.RequestURI, got.Host, got.ContentLength, test.uri)
			}
			want := http.Header{
				"Accept": {"application/json"}, "Accept-Encoding": {"gzip"}, "Authorization": {"Bearer " + testKey},
				"Connection": {"close"}, "User-Agent": {"petra_exporter/1.2.3"},
			}
			if fmt.Sprint(got.Header) != fmt.Sprint(want) {
				t.Errorf("headers %v, want %v", got.Header, want)
			}
		})
	}
}

func TestDocumentedResponse(t *testing.T) {
	minutes := func(m float64) time.Duration { return time.Duration(math.Round(m * float64(time.Minute))) }
	acme := petra.Tenant{ID: "ZZk90t", Name: "Acme Corp.", MicrosoftID: "a1b2c3d4-5e6f-7890-abcd-ef1234567890"}
	incident := func(id, created, occurred string, live bool, dwell float64, user string) petra.Incident {
		return petra.Incident{
			ID: id, URL: "https://app.petrasecurity.com/tenant/ZZk90t/incidents/" + id,
			CreatedAt: mustTime(t, created), OccurredAt: mustTime(t, occurred),
			RemediationStatus: "REMEDIATED", Live: live, Dwell: minutes(dwell), HasDwell: true,
			Tenant: acme, UserPrincipalName: user + "@acmecorp.com",
		}
	}
	want := []petra.Incident{
		incident("48f3708e-45c1-4902-9e3b-26165bf3d76a", "2025-02-06T03:55:06.050Z", "2025-02-04T22:14:12Z", false, 1918.650583333333, "askywalker"),
		incident("0c207800-80d0-46ed-beec-376779e33bbb", "2025-02-05T23:38:05.705Z", "2025-02-05T23:33:29Z", true, 5.923883333333333, "ncaffrey"),
		incident("6f604112-3dbc-4c85-9a87-e451e58d0286", "2025-01-26T14:02:43.050Z", "2025-01-22T22:20:57Z", false, 656634.6116, "nick.renner"),
		incident("a212087c-bc60-4fbc-8bf5-5a4c2f823e5f", "2025-01-20T12:33:15Z", "2025-01-20T12:28:47Z", true, 4.55, "asha.streich"),
	}
	document, err := os.ReadFile("petratest/testdata/documented-response.json")
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]func(*testing.T) (*petra.Incidents, error){
		"plain": func(t *testing.T) (*petra.Incidents, error) { return incidents(t, string(document)) },
		"from the simulated API, compressed": func(t *testing.T) (*petra.Incidents, error) {
			api := petratest.NewAPI(petratest.Documented(), petratest.Options{})
			return newClient(t, newPipe(t, api)).Incidents(t.Context(), petra.IncidentsQuery{TenantID: acme.MicrosoftID})
		},
	}
	for name, read := range read {
		t.Run(name, func(t *testing.T) {
			got, err := read(t)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Incidents, want) {
				t.Errorf("got  %+v\nwant %+v", got.Incidents, want)
			}
			if len(got.Rejected) != 0 || got.Received != 4 || got.Truncated() || !got.Oldest().Equal(want[3].CreatedAt) {
				t.Errorf("rejected %v, received %d, full %t, oldest %v", got.Rejected, got.Received, got.Truncated(), got.Oldest())
			}
			var dwell, detection time.Duration
			for _, i := range got.Incidents {
				dwell += i.Dwell
				detection += i.CreatedAt.Sub(i.OccurredAt)
			}
			if math.Abs(dwell.Seconds()-39_513_824.2) > 0.1 || math.Abs(detection.Seconds()-423_104.8) > 0.1 {
				t.Errorf("dwell %f s, detection %f s", dwell.Seconds(), detection.Seconds())
			}
		})
	}
}

// fields are those of an incident as the API documents it, in JSON.
func fields() map[string]string {
	return map[string]string{
		"id":                `"inc-1"`,
		"url":               `"https://app.petrasecurity.com/tenant/t-1/incidents/inc-1"`,
		"createdAt":         `"2026-03-01T10:00:00.25Z"`,
		"occurredAt":        `"2026-03-01T09:00:00Z"`,
		"remediationStatus": `"REMEDIATED"`,
		"isLive":            `true`,
		"dwellTimeMinutes":  `90.5`,
		"tenant":            `{"petraTenantId": "t-1", "name": "Acme", "microsoftTenantId": "A1B2"}`,
		"user":              `{"userPrincipalName": "user@example.com", "accountEnabled": true}`,
	}
}

func documentedIncident() petra.Incident {
	return petra.Incident{
		ID: "inc-1", URL: "https://app.petrasecurity.com/tenant/t-1/incidents/inc-1",
		CreatedAt:         time.Date(2026, 3, 1, 10, 0, 0, 250e6, time.UTC),
		OccurredAt:        time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
		RemediationStatus: "REMEDIATED", Live: true, Dwell: 90*time.Minute + 30*time.Second, HasDwell: true,
		Tenant:            petra.Tenant{ID: "t-1", Name: "Acme", MicrosoftID: "a1b2"},
		UserPrincipalName: "user@example.com",
	}
}

// object writes an incident, or a tenant, in JSON; a value of "" leaves the field out.
func object(fields map[string]string) string {
	var parts []string
	for name, value := range fields {
		if value != "" {
			parts = append(parts, fmt.Sprintf("%q: %s", name, value))
		}
	}
	slices.Sort(parts)
	return "{" + strings.Join(parts, ", ") + "}"
}

type change = func(*petra.Incident)

func TestTolerantDecoding(t *testing.T) {
	same := func(*petra.Incident) {}
	noLive := func(i *petra.Incident) { i.Live = false }
	noDwell := func(i *petra.Incident) { i.Dwell, i.HasDwell = 0, false }
	dwell := func(d time.Duration) change { return func(i *petra.Incident) { i.Dwell = d } }
	noCreated := func(i *petra.Incident) { i.CreatedAt = time.Time{} }
	noOccurred := func(i *petra.Incident) { i.OccurredAt = time.Time{} }
	created := func(at time.Time) change { return func(i *petra.Incident) { i.CreatedAt = at } }
	occurred := func(at time.Time) change { return func(i *petra.Incident) { i.OccurredAt = at } }
	id := func(id string) change { return func(i *petra.Incident) { i.ID = id } }
	noURL := func(i *petra.Incident) { i.URL = "" }
	noStatus := func(i *petra.Incident) { i.RemediationStatus = "" }
	noUser := func(i *petra.Incident) { i.UserPrincipalName = "" }
	tenant := func(tenant petra.Tenant) change { return func(i *petra.Incident) { i.Tenant = tenant } }

	for _, test := range []struct {
		field, value string
		want         change // nil: the incident is dropped
		reason       petra.Reason
	}{
		{"dwellTimeMinutes", ``, noDwell, ""},
		{"dwellTimeMinutes", `null`, noDwell, ""},
		{"dwellTimeMinutes", `0`, dwell(0), ""},
		{"dwellTimeMinutes", `-0.0`, dwell(0), ""},
		{"dwellTimeMinutes", `-17.5`, dwell(0), ""},
		{"dwellTimeMinutes", `-1e300`, dwell(0), ""},
		{"dwellTimeMinutes", `1e-3`, dwell(60 * time.Millisecond), ""},
		{"dwellTimeMinutes", `52560000`, dwell(100 * 365 * 24 * time.Hour), ""},
		{"dwellTimeMinutes", `53000000`, noDwell, petra.BadDwell},
		{"dwellTimeMinutes", `1e300`, noDwell, petra.BadDwell},
		{"dwellTimeMinutes", `1e400`, noDwell, petra.BadDwell},
		{"dwellTimeMinutes", `-1e400`, noDwell, petra.BadDwell},
		{"dwellTimeMinutes", `"90.5"`, noDwell, petra.BadDwell},
		{"dwellTimeMinutes", `""`, noDwell, petra.BadDwell},
		{"dwellTimeMinutes", `true`, noDwell, petra.BadDwell},
		{"dwellTimeMinutes", `[90]`, noDwell, petra.BadDwell},
		{"dwellTimeMinutes", `{"minutes": 90}`, noDwell, petra.BadDwell},

		{"createdAt", ``, noCreated, petra.BadTime},
		{"createdAt", `null`, noCreated, petra.BadTime},
		{"createdAt", `""`, noCreated, petra.BadTime},
		{"createdAt", `1772359200`, noCreated, petra.BadTime},
		{"createdAt", `"yesterday"`, noCreated, petra.BadTime},
		{"createdAt", `"2026-03-01"`, noCreated, petra.BadTime},
		{"createdAt", `"2026-02-30T10:00:00Z"`, noCreated, petra.BadTime},
		{"createdAt", `"0001-01-01T00:00:00Z"`, noCreated, petra.BadTime},
		{"createdAt", `"1969-12-31T23:59:59.999Z"`, noCreated, petra.BadTime},
		{"createdAt", `"1970-01-01T00:00:00Z"`, noCreated, petra.BadTime}, // null, in some languages
		{"createdAt", `"1970-01-01T00:00:01Z"`, created(time.Unix(1, 0).UTC()), ""},
		{"createdAt", `"2026-03-01T13:00:00Z"`, created(apiDate.Add(time.Hour)), ""},
		{"createdAt", `"2026-03-01T13:00:00.001Z"`, noCreated, petra.BadTime},
		{"createdAt", `"9999-12-31T23:59:59Z"`, noCreated, petra.BadTime},
		{"createdAt", `"2026-03-01T14:00:00+01:00"`, created(apiDate.Add(time.Hour)), ""},
		{"createdAt", `"2026-03-01T12:30:00-01:00"`, noCreated, petra.BadTime},
		{"createdAt", `"2026-03-01T11:00:00+0000"`, created(apiDate.Add(-time.Hour)), ""},
		{"createdAt", `"2026-03-01T13:00:00.000+0200"`, created(apiDate.Add(-time.Hour)), ""},
		{"createdAt", `"2026-03-01T12:00:00+01"`, created(apiDate.Add(-time.Hour)), ""},
		{"createdAt", `"2026-03-01t11:00:00z"`, created(apiDate.Add(-time.Hour)), ""},
		{"createdAt", `"2026-03-01T11:00:00"`, created(apiDate.Add(-time.Hour)), ""},
		{"createdAt", `"2026-03-01T11:00:00.5"`, created(apiDate.Add(-time.Hour + time.Second/2)), ""},
		{"createdAt", `"2026-03-01T10:59:60Z"`, created(apiDate.Add(-time.Hour)), ""},
		{"createdAt", `"2026-03-01T10:59:61Z"`, noCreated, petra.BadTime},
		{"createdAt", `"2026-03-01T11:00:00 Z"`, noCreated, petra.BadTime},
		{"occurredAt", ``, noOccurred, petra.BadTime},
		{"occurredAt", `null`, noOccurred, petra.BadTime},
		{"occurredAt", `false`, noOccurred, petra.BadTime},
		{"occurredAt", `"1969-12-31T23:59:59Z"`, noOccurred, petra.BadTime},
		{"occurredAt", `"2026-03-01T13:00:01Z"`, noOccurred, petra.BadTime},
		{"occurredAt", `"2026-03-01T12:59:59.999Z"`, occurred(apiDate.Add(time.Hour - time.Millisecond)), ""},
		// After createdAt: a negative duration is for the reader to mend.
		{"occurredAt", `"2026-03-01T11:00:00Z"`, occurred(apiDate.Add(-time.Hour)), ""},

		{"isLive", ``, noLive, ""},
		{"isLive", `null`, noLive, ""},
		{"isLive", `false`, noLive, ""},
		{"isLive", `"true"`, noLive, ""},
		{"isLive", `1`, noLive, ""},
		{"isLive", `[]`, noLive, ""},
		{"isLive", `{}`, noLive, ""},

		{"remediationStatus", ``, noStatus, ""},
		{"remediationStatus", `null`, noStatus, ""},
		{"remediationStatus", `3`, noStatus, ""},
		{"remediationStatus", `["REMEDIATED"]`, noStatus, ""},
		{"remediationStatus", `"brand_new"`, func(i *petra.Incident) { i.RemediationStatus = "brand_new" }, ""},

		{"url", ``, noURL, ""},
		{"url", `null`, noURL, ""},
		{"url", `7`, noURL, ""},
		{"url", `"javascript:alert(1)"`, func(i *petra.Incident) { i.URL = "javascript:alert(1)" }, ""},

		{"user", ``, noUser, ""},
		{"user", `null`, noUser, ""},
		{"user", `"user@example.com"`, noUser, ""},
		{"user", `{}`, noUser, ""},
		{"user", `{"userPrincipalName": null}`, noUser, ""},
		{"user", `{"userPrincipalName": 5}`, noUser, ""},

		{"id", `" inc 1"`, id(" inc 1"), ""},
		{"id", quoted(strings.Repeat("x", 128)), id(strings.Repeat("x", 128)), ""},
		{"id", quoted(strings.Repeat("é", 128)), id(strings.Repeat("é", 128)), ""},
		{"id", quoted(strings.Repeat("x", 129)), nil, petra.NoID},
		{"id", quoted(strings.Repeat("é", 129)), nil, petra.NoID},
		{"id", ``, nil, petra.NoID},
		{"id", `null`, nil, petra.NoID},
		{"id", `""`, nil, petra.NoID},
		{"id", `17`, nil, petra.NoID},
		{"id", `["inc-1"]`, nil, petra.NoID},

		{"tenant", ``, nil, petra.WrongTenant},
		{"tenant", `null`, nil, petra.WrongTenant},
		{"tenant", `"t-1"`, nil, petra.WrongTenant},
		{"tenant", `["t-1"]`, nil, petra.WrongTenant},
		{"tenant", `{}`, nil, petra.WrongTenant},
		{"tenant", `{"petraTenantId": null, "name": "Acme"}`, nil, petra.WrongTenant},
		{"tenant", `{"petraTenantId": ""}`, nil, petra.WrongTenant},
		{"tenant", `{"petraTenantId": 5}`, nil, petra.WrongTenant},
		{"tenant", `{"petraTenantId": "t\u0000"}`, nil, petra.WrongTenant},
		{"tenant", `{"petraTenantId": ` + quoted(strings.Repeat("x", 129)) + `}`, nil, petra.WrongTenant},
		{"tenant", `{"petraTenantId": "t-2"}`, tenant(petra.Tenant{ID: "t-2"}), ""},
		{"tenant", `{"petraTenantId": "t-2", "name": null, "microsoftTenantId": 5}`, tenant(petra.Tenant{ID: "t-2"}), ""},
		{"tenant", `{"petraTenantId": "t-2", "name": 5, "microsoftTenantId": "ABC"}`, tenant(petra.Tenant{ID: "t-2", MicrosoftID: "abc"}), ""},

		{"somethingNew", `{"deep": [1, 2, {"x": null}]}`, same, ""},
	} {
		t.Run(test.field+"="+short(test.value), func(t *testing.T) {
			changed := fields()
			changed[test.field] = test.value
			other := fields()
			other["id"] = `"inc-2"`
			body := `{"incidents": [` + object(changed) + ", " + object(other) + `]}`
			got, err := incidents(t, body)
			if err != nil {
				t.Fatal(err)
			}
			want := []petra.Incident{documentedIncident(), documentedIncident()}
			want[1].ID = "inc-2"
			if test.want == nil {
				want = want[1:]
			} else {
				test.want(&want[0])
			}
			for i := range got.Incidents {
				got.Incidents[i].CreatedAt = got.Incidents[i].CreatedAt.UTC()
			}
			if !slices.Equal(got.Incidents, want) {
				t.Errorf("got  %+v\nwant %+v", got.Incidents, want)
			}
			if got.Received != 2 {
				t.Errorf("received %d, want 2", got.Received)
			}
			switch {
			case test.reason == "":
				if len(got.Rejected) != 0 {
					t.Errorf("rejected %+v", got.Rejected)
				}
			case len(got.Rejected) != 1 || got.Rejected[0].Reason != test.reason:
				t.Errorf("rejected %+v, want one %s", got.Rejected, test.reason)
			case test.reason == petra.NoID:
				if key := got.Rejected[0].Key; key == "" || len(key) > petra.MaxIDLength || strings.Contains(key, "inc") {
					t.Errorf("an incident without a usable ID has the key %q, want a digest", key)
				}
			case got.Rejected[0].Key != "inc-1":
				t.Errorf("the key is %q, want the ID", got.Rejected[0].Key)
			}
		})
	}
}

func quoted(text string) string { return `"` + text + `"` }

func short(text string) string {
	if len(text) > 60 {
		return fmt.Sprintf("%s... (%d)", text[:20], len(text))
	}
	return text
}

func mustTime(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// What is no object costs itself alone.
func TestElementsThatAreNoObjects(t *testing.T) {
	for _, element := range []string{`null`, `17`, `"inc-1"`, `[]`, `[{"id": "inc-1"}]`, `true`, `-1e400`} {
		t.Run(element, func(t *testing.T) {
			got, err := incidents(t, `{"incidents": [ `+element+` , `+object(fields())+"\n, "+element+` ]}`)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Incidents, []petra.Incident{documentedIncident()}) || got.Received != 3 {
				t.Errorf("got %+v of %d", got.Incidents, got.Received)
			}
			if len(got.Rejected) != 2 || got.Rejected[0].Reason != petra.BadJSON || got.Rejected[0] != got.Rejected[1] || got.Rejected[0].Key == "" {
				t.Errorf("rejected %+v, want the same content twice as bad_json", got.Rejected)
			}
		})
	}
}

// An incident without an ID is known by its content, so that it can be counted once.
func TestRejectionKeys(t *testing.T) {
	without := func(url string) string {
		f := fields()
		f["id"], f["url"] = "", quoted(url)
		return object(f)
	}
	body := func(elements ...string) string {
		return `{"incidents": [` + strings.Join(append(elements, object(fields())), ",") + `]}`
	}
	first, err := incidents(t, body(without("a"), without("b"), `null`))
	if err != nil {
		t.Fatal(err)
	}
	second, err := incidents(t, body(`null`, without("b"), without("a")))
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Rejected) != 3 || len(second.Rejected) != 3 {
		t.Fatalf("rejected %+v, then %+v", first.Rejected, second.Rejected)
	}
	slices.Reverse(second.Rejected)
	if !slices.Equal(first.Rejected, second.Rejected) {
		t.Errorf("the same content has other keys: %+v, then %+v", first.Rejected, second.Rejected)
	}
	if first.Rejected[0] == first.Rejected[1] {
		t.Error("other content has the same key")
	}
}

func TestSeveralReasonsForOneIncident(t *testing.T) {
	f := fields()
	f["createdAt"], f["occurredAt"], f["dwellTimeMinutes"], f["isLive"] = `"?"`, `null`, `"?"`, `"?"`
	got, err := incidents(t, `{"incidents": [`+object(f)+`]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := documentedIncident()
	want.CreatedAt, want.OccurredAt, want.Dwell, want.HasDwell, want.Live = time.Time{}, time.Time{}, 0, false, false
	if !slices.Equal(got.Incidents, []petra.Incident{want}) {
		t.Errorf("got %+v", got.Incidents)
	}
	if !slices.Equal(got.Rejected, []petra.Rejection{{Reason: petra.BadTime, Key: "inc-1"}, {Reason: petra.BadDwell, Key: "inc-1"}}) {
		t.Errorf("rejected %+v, want each reason once", got.Rejected)
	}
	if _, ok := got.Incidents[0].RemediatedAt(); ok {
		t.Error("remediated without a usable time")
	}
}

func TestReasonsAreAllListed(t *testing.T) {
	for route, want := range map[petra.Route][]petra.Reason{
		petra.RouteIncidents: {"no_id", "bad_time", "bad_dwell", "wrong_tenant", "bad_json"},
		petra.RouteTenants:   {"no_id", "bad_json", "duplicate"},
	} {
		if got := petra.Reasons(route); !slices.Equal(got, want) {
			t.Errorf("%s: reasons %v, want %v", route, got, want)
		}
	}
}

func TestAnswersThatAreNoList(t *testing.T) {
	for _, body := range []string{
		``, ` `, `null`, `[]`, `17`, `"` + testKey + `"`, `{}`, `{"incidents": null, "tenants": null}`,
		`{"incidents": {}, "tenants": {}}`, `{"incidents": "` + testKey + `", "tenants": 7}`, `{"incidents": [{}], "tenants": [{}]`,
		`{"incidents": [], "tenants": []} trailing`, `{"incidents": [}`, `{"incidents": [1e], "tenants": [nul]}`,
		`{"error": "something"}`, `<html></html>`, "\x1f\x8b",
	} {
		t.Run(short(body), func(t *testing.T) {
			c := newClient(t, served(t, good(body)))
			answer, err := c.Incidents(t.Context(), petra.IncidentsQuery{})
			wantKind(t, err, petra.ErrUndecodable)
			wantNoKey(t, err, testKey)
			tenants, err := c.Tenants(t.Context())
			wantKind(t, err, petra.ErrUndecodable)
			wantNoKey(t, err, testKey)
			if answer != nil || tenants != nil {
				t.Errorf("an error, and yet %v and %v", answer, tenants)
			}
		})
	}
}

func TestEmptyListIsGood(t *testing.T) {
	got, err := incidents(t, `{"incidents": []}`)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Incidents) != 0 || got.Received != 0 || got.Truncated() || !got.Oldest().IsZero() || !got.Date.Equal(apiDate) {
		t.Errorf("got %+v", got)
	}
}

// An answer is full by what it holds, usable or not.
func TestFull(t *testing.T) {
	for n, full := range map[int]bool{499: false, 500: true, 501: true} {
		list := strings.TrimSuffix(strings.Repeat(`null,`, n-1), ",") + "," + object(fields())
		got, err := incidents(t, `{"incidents": [`+list+`]}`)
		if err != nil {
			t.Fatal(err)
		}
		if got.Received != n || got.Truncated() != full || len(got.Incidents) != 1 || len(got.Rejected) != n-1 {
			t.Errorf("of %d: received %d, full %t, %d usable, %d rejected", n, got.Received, got.Truncated(), len(got.Incidents), len(got.Rejected))
		}
	}
}

// Of a list that is longer than any the API sends, the rest is not decoded; it
// may hold what the answer seems to lack.
func TestTooManyElements(t *testing.T) {
	list := strings.Repeat(object(fields())+",", 2001)
	got, err := incidents(t, `{"incidents": [`+list+`null]}`)
	if err != nil {
		t.Fatal(err)
	}
	if got.Received != 2002 || len(got.Incidents) != 2000 || len(got.Unassigned()) != 1 || !got.Truncated() {
		t.Errorf("received %d, %d usable, %v unassigned, full %t", got.Received, len(got.Incidents), got.Unassigned(), got.Truncated())
	}
}

// TestManyElements: millions of elements, which cost more in memory than on the
// wire, are not kept.
func TestManyElements(t *testing.T) {
	zeros := []byte(strings.Repeat("0,", 10_000_000) + "0")
	for name, decode := range map[string]func() error{
		"incidents": func() error {
			_, err := petra.DecodeIncidents(slices.Concat([]byte(`{"incidents":[`), zeros, []byte(`]}`)), apiDate)
			return err
		},
		"tenants": func() error {
			_, err := petra.DecodeTenants(slices.Concat([]byte(`{"tenants":[`), zeros, []byte(`]}`)), apiDate)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := decode()
			runtime.ReadMemStats(&after)
			wantKind(t, err, petra.ErrUndecodable)
			if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 100 { // 20 of them the body; some more with the race detector
				t.Errorf("%d MiB allocated", mib)
			}
		})
	}
}

// Where no element can be used, that is an error, which tells how many there were.
func TestNothingUsable(t *testing.T) {
	for body, n := range map[string]int{`null`: 1, `{"id": null}, 17`: 2, `{"id": "x", "tenant": {}}`: 1} {
		got, err := incidents(t, `{"incidents": [`+body+`]}`)
		wantKind(t, err, petra.ErrUndecodable)
		if got == nil || len(got.Unassigned()) != n {
			t.Errorf("%s: got %+v, want %d unassigned", body, got, n)
		}
	}
}

// A byte order mark before the answer is not part of it.
func TestByteOrderMark(t *testing.T) {
	got, err := incidents(t, "\ufeff"+`{"incidents": [`+object(fields())+`]}`)
	if err != nil || len(got.Incidents) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := petra.DecodeTenants([]byte("\ufeff"+`{"tenants": []}`), apiDate); err != nil {
		t.Error(err)
	}
}

// The oldest is the one created first, whatever the order.
func TestOldest(t *testing.T) {
	element := func(id, created string) string {
		f := fields()
		f["id"], f["createdAt"] = quoted(id), created
		return object(f)
	}
	newer, older := `"2026-03-01T11:00:00Z"`, `"2026-02-01T11:00:00Z"`
	for name, test := range map[string]struct {
		elements []string
		want     string
	}{
		"the last":                 {[]string{element("a", newer), element("b", older)}, older},
		"the first":                {[]string{element("b", older), element("a", newer)}, older},
		"a wrong one between":      {[]string{element("a", newer), element("c", `"1999-01-01T00:00:00Z"`), element("b", older)}, older},
		"the last has no time":     {[]string{element("a", newer), element("b", `null`)}, newer},
		"the last cannot be used":  {[]string{element("a", newer), element("", older)}, newer},
		"the last is no object":    {[]string{element("a", newer), element("b", older), `17`}, older},
		"none has a time":          {[]string{element("a", `""`), element("b", `5`)}, `"0001-01-01T00:00:00Z"`},
		"one after the clock's +1": {[]string{element("a", newer), element("b", `"2027-01-01T00:00:00Z"`)}, newer},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := incidents(t, `{"incidents": [`+strings.Join(test.elements, ",")+`]}`)
			if err != nil {
				t.Fatal(err)
			}
			if want := mustTime(t, strings.Trim(test.want, `"`)); !got.Oldest().Equal(want) {
				t.Errorf("oldest %v, want %v", got.Oldest(), want)
			}
			if got.NewestFirst() != (name != "the first" && name != "a wrong one between") {
				t.Errorf("newest first: %t", got.NewestFirst())
			}
		})
	}
}

func TestRemediatedAt(t *testing.T) {
	occurred := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		incident petra.Incident
		want     time.Time
	}{
		"known":         {petra.Incident{OccurredAt: occurred, HasDwell: true, Dwell: time.Hour}, occurred.Add(time.Hour)},
		"at once":       {petra.Incident{OccurredAt: occurred, HasDwell: true}, occurred},
		"no dwell":      {petra.Incident{OccurredAt: occurred}, time.Time{}},
		"no occurredAt": {petra.Incident{HasDwell: true, Dwell: time.Hour}, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			if at, ok := test.incident.RemediatedAt(); !at.Equal(test.want) || ok == test.want.IsZero() {
				t.Errorf("%v (%t), want %v", at, ok, test.want)
			}
		})
	}
}

// Without a readable Date our clock judges.
func TestAPIClock(t *testing.T) {
	for name, test := range map[string]struct {
		date []string
		want func() time.Time
	}{
		"header":      {[]string{"Sun, 01 Mar 2026 12:00:00 GMT"}, func() time.Time { return apiDate }},
		"RFC 850":     {[]string{"Sunday, 01-Mar-26 12:00:00 GMT"}, func() time.Time { return apiDate }},
		"none":        {nil, time.Now},
		"no date":     {[]string{"today"}, time.Now},
		"ISO 8601":    {[]string{"2026-03-01T12:00:00Z"}, time.Now},
		"empty value": {[]string{""}, time.Now},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := fields()
				f["createdAt"], f["occurredAt"] = `"2000-01-01T01:00:00Z"`, `"2000-01-01T01:00:01Z"`
				header := http.Header{"Date": test.date} // without values: not sent
				got, err := newClient(t, served(t, answering(200, header, `{"incidents": [`+object(f)+`]}`))).
					Incidents(t.Context(), petra.IncidentsQuery{})
				if err != nil {
					t.Fatal(err)
				}
				if want := test.want(); !got.Date.Equal(want) {
					t.Errorf("date %v, want %v", got.Date, want)
				}
				if bad := len(got.Rejected) == 1; bad != got.Date.Before(apiDate) {
					t.Errorf("rejected %+v by the clock %v", got.Rejected, got.Date)
				}
			})
		})
	}
}
