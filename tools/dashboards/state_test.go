package dashboards

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

// A tenant whose monitoring is paused, and incidents that cannot be read, are not calm.
func TestState(t *testing.T) {
	const calm = `
load 1m
  up{job="petra",instance="a"} 1x10
  petra_tenant_info{job="petra",instance="a",tenant_id="Aa1111",tenant_name="A"} 1x10
  petra_tenant_up{job="petra",instance="a",tenant_id="Aa1111"} 1x10
  petra_tenant_last_refresh_timestamp_seconds{job="petra",instance="a",tenant_id="Aa1111"} 0+60x10
  petra_open_incidents{job="petra",instance="a",tenant_id="Aa1111",live="true"} 0x10
`
	const paused = calm + `
load 1m
  petra_tenant_paused{job="petra",instance="a",tenant_id="Aa1111"} 1x10
  petra_tenant_paused{job="petra",instance="b",tenant_id="Aa1111"} 1x10
  petra_tenant_paused{job="petra",instance="a",tenant_id="Bb2222"} 0x10
`
	const unreadable = `
load 1m
  petra_incidents_unreadable{job="petra",instance="a"} 1x10
`
	const open = `
load 1m
  petra_open_incidents{job="petra",instance="a",tenant_id="Aa1111",live="false"} 1x10
`
	all := dashboards(t)
	v := view{job: "petra", instance: ".+", tenant: ".+", span: time.Hour}
	engine := promqltest.NewTestEngineWithOpts(t, promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, EnableAtModifier: true, EnableNegativeOffset: true, Parser: parser.NewParser(parser.Options{})})
	for _, test := range []struct{ uid, panel, name, load, want string }{
		{"petra-overview", "State", "calm", calm, `{state="nothing open"} 0`},
		{"petra-overview", "State", "paused", paused, `{state="nothing open, 1 tenants paused"} 0.5`},
		{"petra-overview", "State", "paused and open", paused + open, `{state="1 open"} 1`},
		{"petra-overview", "State", "paused and not read", paused + "\nload 1m\n  petra_tenant_up{job=\"petra\",instance=\"a\",tenant_id=\"Bb2222\"} 0x10\n", `{state="unknown: 1 tenants not read"} 2`},
		{"petra-overview", "State", "unreadable", paused + unreadable, `{state="unknown: 1 incidents cannot be read"} 2`},
		{"petra-tenant", "State", "paused", paused, `{state="nothing open, 1 tenants paused"} 0.5`},
		{"petra-overview", "Paused tenants", "calm", calm, ""},
		{"petra-overview", "Paused tenants", "paused", paused, "{} 1"},
		{"petra-exporter", "Unreadable", "unreadable", unreadable, "{} 1"},
		{"petra-exporter", "Unreadable", "no exporter", "", ""},
	} {
		t.Run(fmt.Sprintf("%s, %s, %s", test.uid, test.panel, test.name), func(t *testing.T) {
			expr := strings.Join(strings.Fields(v.expand(t, find(t, all, test.uid, test.panel).Targets[0].Expr, 0)), " ")
			promqltest.RunTest(t, test.load+"\neval instant at 10m max by (state) ("+expr+")\n  "+test.want+"\n", engine)
		})
	}
}
