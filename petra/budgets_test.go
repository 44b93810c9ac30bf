package petra_test

import (
	"testing"
	"time"

	"github.com/petra-exporter/petra_exporter/petra"
)

// TestBudgetOfAnotherAPI: a wait ends with the API that asked for it, and a late
// answer of that API asks nothing of the next one.
func TestBudgetOfAnotherAPI(t *testing.T) {
	budgets := petra.NewBudgets(10)
	blocked := func(want string, route petra.Route) {
		t.Helper()
		if got := !budgets[route].State(time.Now()).Blocked.IsZero(); got != (want == "blocked") {
			t.Errorf("%s is blocked: %t, want it %s", route, got, want)
		}
	}
	later := time.Now().Add(time.Hour)
	budgets.SetAPI("https://old.example")
	budgets[petra.RouteIncidents].Block("https://old.example", later)
	blocked("blocked", petra.RouteIncidents)
	blocked("open", petra.RouteTenants)
	budgets.SetAPI("https://old.example")
	blocked("blocked", petra.RouteIncidents)
	budgets.SetAPI("https://new.example")
	blocked("open", petra.RouteIncidents)
	budgets[petra.RouteIncidents].Block("https://old.example", later)
	blocked("open", petra.RouteIncidents)
	budgets[petra.RouteIncidents].Block("https://new.example", later)
	blocked("blocked", petra.RouteIncidents)
}
