package petratest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestLife(t *testing.T) {
	at := func(minutes int) time.Time { return epoch.Add(time.Duration(minutes) * time.Minute) }
	in := Incident{
		ID: "i", TenantID: "T", OccurredAt: at(-10), CreatedAt: at(0), Visible: at(1), LiveChangedAt: at(5),
		RemediatedAt: at(20), FinalStatus: "FALSE_POSITIVE", WithdrawnAt: at(60),
	}
	for _, tc := range []struct {
		minutes int
		want    string
	}{
		{0, "absent"},
		{1, "ACTIVE live=false dwell=null"},
		{4, "ACTIVE live=false dwell=null"},
		{5, "ACTIVE live=true dwell=null"},
		{19, "ACTIVE live=true dwell=null"},
		{20, "FALSE_POSITIVE live=true dwell=30"},
		{59, "FALSE_POSITIVE live=true dwell=30"},
		{60, "absent"},
	} {
		got := "absent"
		if v, ok := in.At(at(tc.minutes)); ok {
			dwell := "null"
			if v.DwellMinutes != nil {
				dwell = fmt.Sprint(*v.DwellMinutes)
			}
			got = fmt.Sprintf("%s live=%v dwell=%s", v.Status, v.Live, dwell)
		}
		if got != tc.want {
			t.Errorf("after %d min: %s, want %s", tc.minutes, got, tc.want)
		}
	}
	v, _ := (&Incident{ID: "i", TenantID: "T", CreatedAt: at(0), RemediatedAt: at(1)}).At(at(1))
	if v.URL != "https://app.petrasecurity.com/tenant/T/incidents/i" || v.Status != "REMEDIATED" {
		t.Errorf("defaults: %+v", v)
	}
}

func order(w *Organization, now time.Time) string {
	var list []string
	for _, v := range w.Incidents(now) {
		list = append(list, v.ID)
	}
	return strings.Join(list, " ")
}

func TestUpdateAndReplace(t *testing.T) {
	w := smallOrg()
	if !w.Update("i5", func(in *Incident) { in.CreatedAt, in.ID = epoch.Add(-330*time.Minute), "other" }) {
		t.Error("i5 is not known")
	}
	if got, want := order(w, epoch), "i4 i3 i2 i1 i5 i0"; got != want {
		t.Errorf("after an earlier creation: %s, want %s", got, want)
	}
	w.Add(Incident{ID: "i2", TenantID: "BBBBB1", CreatedAt: epoch})
	if got, want := order(w, epoch), "i2 i4 i3 i1 i5 i0"; got != want {
		t.Errorf("after a replacement: %s, want %s", got, want)
	}
	api := NewAPI(w, Options{})
	if got := ids(t, get(t, api, "/v1/incidents?tenantId=BBBBB1")); strings.Join(got, " ") != "i2 i3 i1 i5" {
		t.Errorf("of the new tenant: %v", got)
	}
	w.Update("i2", func(in *Incident) { in.WithdrawnAt = epoch })
	if got, want := order(w, epoch), "i4 i3 i1 i5 i0"; got != want {
		t.Errorf("after a withdrawal: %s, want %s", got, want)
	}
	if w.Update("nobody", func(*Incident) { t.Error("called") }) {
		t.Error("an unknown incident was changed")
	}
}

// A batch is sorted at once, single ones are inserted: the outcome is the same.
func TestBatchEqualsSingles(t *testing.T) {
	var list []Incident
	r := newRand(1, 1)
	for i := range 300 {
		at := epoch.Add(time.Duration(r.IntN(100)) * time.Second)
		list = append(list, Incident{ID: fmt.Sprint(i), TenantID: fmt.Sprint(i % 7), CreatedAt: at})
	}
	batch, singles := NewOrganization(), NewOrganization()
	batch.Add(list...)
	batch.Add(list...)
	for _, in := range list {
		singles.Add(in)
	}
	now := epoch.Add(time.Hour)
	if a, b := order(batch, now), order(singles, now); a != b || strings.Count(a, " ") != 299 {
		t.Errorf("batch %s\nsingles %s", a, b)
	}
	for tenant := range 7 {
		target := fmt.Sprintf("/v1/incidents?tenantId=%d", tenant)
		a := ids(t, get(t, NewAPI(batch, Options{}), target))
		b := ids(t, get(t, NewAPI(singles, Options{}), target))
		if strings.Join(a, " ") != strings.Join(b, " ") || len(a) < 42 {
			t.Errorf("tenant %d: batch %v, singles %v", tenant, a, b)
		}
	}
}

func TestRawIsServedAsItStands(t *testing.T) {
	w := NewOrganization()
	raws := []string{`"text"`, `{"id":  5}`, `{broken`}
	for i, raw := range raws {
		w.Add(Incident{TenantID: "T", CreatedAt: epoch.Add(-time.Duration(i) * time.Second), Raw: json.RawMessage(raw)})
	}
	got := get(t, NewAPI(w, Options{}), "/v1/incidents").Body
	if want := `{"incidents":[` + strings.Join(raws, ",") + `]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if views := w.Incidents(epoch); len(views) != 3 || !views[0].Raw {
		t.Errorf("views %+v", views)
	}
}

func TestUsers(t *testing.T) {
	tenant := Tenant{ID: "T", Name: "Cedar & Finch Legal"}
	a := makeUser("a", tenant)
	if a != makeUser("a", tenant) || a == makeUser("b", tenant) {
		t.Error("the user does not depend on the incident's ID alone")
	}
	if !strings.HasSuffix(a.UserPrincipalName, "@cedarfinchlegal.example") {
		t.Errorf("address %s", a.UserPrincipalName)
	}
	w := NewOrganization()
	w.Add(Incident{ID: "i", CreatedAt: epoch, User: User{UserPrincipalName: "me@here.example", Disabled: true}})
	got := get(t, NewAPI(w, Options{}), "/v1/incidents").Body
	if !strings.Contains(got, `"userPrincipalName":"me@here.example"`) || !strings.Contains(got, `"accountEnabled":false`) {
		t.Errorf("got %s", got)
	}
}
