package petratest

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDocumentedEqualsTheFile(t *testing.T) {
	file, err := os.ReadFile("testdata/documented-response.json")
	if err != nil {
		t.Fatal(err)
	}
	w := Documented()
	var got, want bytes.Buffer
	if err := json.Compact(&want, file); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&got, []byte(get(t, NewAPI(w, Options{}), "/v1/incidents").Body)); err != nil {
		t.Fatal(err)
	}
	if got.String() != want.String() {
		t.Errorf("got  %s\nwant %s", got.String(), want.String())
	}
	if tenants := w.Tenants(); len(tenants) != 1 ||
		tenants[0] != (Tenant{ID: "ZZk90t", Name: "Acme Corp.", MicrosoftID: "a1b2c3d4-5e6f-7890-abcd-ef1234567890"}) {
		t.Errorf("tenants %+v", tenants)
	}
	views := w.Incidents(time.Time{})
	dwell, live := 0., 0
	for _, v := range views {
		dwell += *v.DwellMinutes
		if v.Live {
			live++
		}
		if v.Status != "REMEDIATED" {
			t.Errorf("%s: status %s", v.ID, v.Status)
		}
	}
	if len(views) != 4 || live != 2 || dwell*60 < 39_513_824.1 || dwell*60 > 39_513_824.3 {
		t.Errorf("%d incidents, %d live, %f s of dwell", len(views), live, dwell*60)
	}
}

// The generated objects have the fields of the documented ones, in their order.
func TestGeneratedLooksLikeDocumented(t *testing.T) {
	keys := func(object string) (list []string) {
		d := json.NewDecoder(strings.NewReader(object))
		for {
			token, err := d.Token()
			if err != nil {
				return list
			}
			if s, ok := token.(string); ok && strings.Contains(object, `"`+s+`":`) {
				list = append(list, s)
			}
		}
	}
	first := func(w *Organization) string {
		var answer struct{ Incidents []json.RawMessage }
		if err := json.Unmarshal([]byte(get(t, NewAPI(w, Options{}), "/v1/incidents?limit=1").Body), &answer); err != nil {
			t.Fatal(err)
		}
		return string(answer.Incidents[0])
	}
	got, want := keys(first(smallOrg())), keys(first(Documented()))
	if !slices.Equal(got, want) || len(got) != 18 {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
