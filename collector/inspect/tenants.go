package inspect

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/petra"
)

// Formats are those of [Tenants].
func Formats() []string { return []string{"table", "json", "yaml"} }

// Tenants writes what the key sees in one of the [Formats], at the cost of one
// request of each route. Where either fails, it writes nothing.
func Tenants(ctx context.Context, w io.Writer, o Options, format string) error {
	cfg, err := o.Load()
	if err != nil {
		return err
	}
	client, err := o.newClient(cfg, nil)
	if err != nil {
		return fmt.Errorf("api.tls_config: %w", err)
	}
	if err := client.CheckKey(ctx); err != nil {
		return fmt.Errorf("%w; %s", err, nameTheKey)
	}
	tenants, err := client.Tenants(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w; the command doctor says more", path(petra.RouteTenants), err)
	}
	incidents, err := client.Incidents(ctx, petra.IncidentsQuery{Since: cfg.Since})
	if err != nil {
		return fmt.Errorf("%s: %w; the command doctor says more", path(petra.RouteIncidents), err)
	}
	s := newSurvey(cfg, tenants, incidents)
	switch format {
	case "json":
		return s.writeJSON(w)
	case "yaml":
		return s.writeYAML(w)
	}
	return s.writeTable(w)
}

// survey is the result of two requests about an organization. Its JSON is the
// output of the command: field names are a contract and documented in the README.
type survey struct {
	Incidents incidentsSeen `json:"incidents"`
	Tenants   []tenantSeen  `json:"tenants"`
	// Unlisted are IDs that incidents have and the list of tenants has not.
	Unlisted []string `json:"unlisted_tenants"`
	// Unusable is how many elements of the list of tenants could not be used.
	Unusable int          `json:"unusable_tenants"`
	Statuses []statusSeen `json:"statuses"`
}

type incidentsSeen struct {
	Read     int        `json:"read"`
	Rejected int        `json:"rejected"` // what of them could not be used, whole or in part
	All      bool       `json:"all"`      // false: the API has older ones that it did not give
	Oldest   *time.Time `json:"oldest"`
	Since    *time.Time `json:"since"` // the configuration's
}

type tenantSeen struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	MicrosoftID string     `json:"microsoft_id"`
	Paused      bool       `json:"paused"`
	Onboarded   *time.Time `json:"onboarded"`
	Newest      *time.Time `json:"newest_incident"`
	Open        int        `json:"open_incidents"`
	All         bool       `json:"all_incidents_seen"` // false: more than Open may be open
}

type statusSeen struct {
	Status    string `json:"status"` // as the API has it; may be empty
	Meaning   string `json:"meaning"`
	Incidents int    `json:"incidents"`
}

func newSurvey(cfg *config.Config, tenants *petra.Tenants, answer *petra.Incidents) *survey {
	oldest := answer.Oldest()
	s := &survey{
		Incidents: incidentsSeen{
			Rejected: len(answer.Rejected), All: !answer.Truncated(), Oldest: optional(oldest), Since: optional(cfg.Since),
		},
		Tenants: []tenantSeen{}, Unlisted: []string{}, Unusable: len(tenants.Rejected), Statuses: []statusSeen{}, // never null in JSON
	}
	for _, t := range tenants.Tenants {
		s.Tenants = append(s.Tenants, tenantSeen{
			ID: t.ID, Name: t.Name, MicrosoftID: t.MicrosoftID, Paused: t.Paused, Onboarded: optional(t.Onboarded),
			All: !answer.Truncated() || !oldest.IsZero() && t.Onboarded.After(oldest),
		})
	}
	byID := map[string]*tenantSeen{}
	for i := range s.Tenants {
		byID[s.Tenants[i].ID] = &s.Tenants[i]
	}
	seen := map[string]bool{}
	counts := map[string]int{}
	for _, i := range answer.Incidents {
		if seen[i.ID] || !i.CreatedAt.IsZero() && i.CreatedAt.Before(cfg.Since) {
			continue
		}
		seen[i.ID] = true
		s.Incidents.Read++
		counts[i.RemediationStatus]++
		t := byID[i.Tenant.ID]
		if t == nil {
			if !slices.Contains(s.Unlisted, i.Tenant.ID) {
				s.Unlisted = append(s.Unlisted, i.Tenant.ID)
			}
			continue
		}
		if !i.CreatedAt.IsZero() && (t.Newest == nil || i.CreatedAt.After(*t.Newest)) {
			t.Newest = optional(i.CreatedAt)
		}
		if _, open := cfg.Meaning(i.RemediationStatus); open {
			t.Open++
		}
	}
	for status, n := range counts {
		meaning, _ := cfg.Meaning(status)
		s.Statuses = append(s.Statuses, statusSeen{status, meaning, n})
	}
	slices.SortFunc(s.Statuses, func(a, b statusSeen) int {
		return cmp.Or(cmp.Compare(b.Incidents, a.Incidents), cmp.Compare(a.Status, b.Status))
	})
	return s
}

// unknown are the statuses that no list of the configuration has.
func (s *survey) unknown() (statuses []statusSeen) {
	for _, st := range s.Statuses {
		if st.Meaning == "unknown" {
			statuses = append(statuses, st)
		}
	}
	return statuses
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
