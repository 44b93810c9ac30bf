package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
)

// TestMeaning: what a status means is told as the metrics have it.
func TestMeaning(t *testing.T) {
	cfg := mustLoad(t, "closed_statuses: [FALSE_POSITIVE]\nopen_statuses: [in_progress, unknown]\n", config.Overrides{})
	for status, want := range map[string]struct {
		meaning string
		open    bool
	}{
		"REMEDIATED":     {"remediated", false},
		"False_Positive": {"closed", false},
		"IN_PROGRESS":    {"open", true},
		"ODD":            {"unknown", true},
		"":               {"open", true}, // published as UNKNOWN
	} {
		if meaning, open := cfg.Meaning(status); meaning != want.meaning || open != want.open {
			t.Errorf("%q: %s, open: %t", status, meaning, open)
		}
	}
}

// TestMissing: a configured ID is a Petra ID as it is spelt, or a Microsoft ID
// without regard to case.
func TestMissing(t *testing.T) {
	const microsoft = "a1b2c3d4-5e6f-7890-abcd-ef1234567890"
	cfg := mustLoad(t, "tenants: [{id: Aa1}, {id: bb2}, {id: "+strings.ToUpper(microsoft)+"}, {id: 00000000-0000-0000-0000-000000000000}]\n", config.Overrides{})
	got := cfg.Missing([]petra.Tenant{{ID: "Aa1"}, {ID: "Bb2"}, {ID: "Cc3", MicrosoftID: microsoft}})
	if want := []string{"bb2", "00000000-0000-0000-0000-000000000000"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
