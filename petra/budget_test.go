package petra_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// span is a request as the API may have seen it: at any moment from start to
// end. It is in flight while end is zero.
type span struct{ start, end time.Time }

// spans are the requests that a budget allowed: a second reading of its promise.
type spans struct {
	mu   sync.Mutex
	list []*span
}

// newSpans returns none, and lets those still in flight end with the test.
func newSpans(t *testing.T) *spans {
	t.Cleanup(func() { time.Sleep(2 * time.Minute) })
	return &spans{}
}

// take takes a request that ends after d.
func (s *spans) take(b *petra.Budget, d time.Duration) bool {
	done, ok := b.Take()
	if !ok {
		return false
	}
	request := &span{start: time.Now()}
	s.mu.Lock()
	s.list = append(s.list, request)
	s.mu.Unlock()
	go func() {
		time.Sleep(d)
		s.mu.Lock()
		defer s.mu.Unlock()
		request.end = time.Now()
		done()
	}()
	return true
}

// counting is how many requests may share a window of 60 s with one at now.
func (s *spans) counting(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.list {
		if r.end.IsZero() || !r.end.Before(now.Add(-time.Minute)) {
			n++
		}
	}
	return n
}

// freeAt is the first moment from now on at which n of limit are free.
func (s *spans) freeAt(now time.Time, n, limit int) (time.Time, bool) {
	if limit-s.counting(now) >= n {
		return now, true
	}
	for _, at := range s.expiries(now) {
		if limit-s.counting(at) >= n {
			return at, true
		}
	}
	return time.Time{}, false
}

// expiries are the moments after now from which one less counts, in order.
func (s *spans) expiries(now time.Time) []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []time.Time
	for _, r := range s.list {
		if at := r.end.Add(time.Minute + time.Nanosecond); !r.end.IsZero() && at.After(now) {
			list = append(list, at)
		}
	}
	slices.SortFunc(list, time.Time.Compare)
	return list
}

// worst is the most requests that any 60 s may have held.
func (s *spans) worst() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	worst := 0
	// A window that holds the most can be moved until it begins where a request ends.
	for _, first := range s.list {
		n := 0
		for _, r := range s.list {
			if !r.end.Before(first.end) && !r.start.After(first.end.Add(time.Minute)) {
				n++
			}
		}
		worst = max(worst, n)
	}
	return worst
}

func TestBudgetHoldsInAnyMinute(t *testing.T) {
	for seed := range uint64(24) {
		limit := 1 + int(seed%12)
		t.Run(fmt.Sprintf("seed %d, limit %d", seed, limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 1))
				b, made := petra.NewBudget(limit), newSpans(t)
				for end := time.Now().Add(20 * time.Minute); time.Now().Before(end); {
					longest := 6 * time.Second
					if random.IntN(10) == 0 {
						longest = 90 * time.Second
					}
					time.Sleep(time.Duration(random.Int64N(int64(longest))))
					synctest.Wait()
					now := time.Now()
					free := max(0, limit-made.counting(now))
					if got := b.State(now).Remaining; got != free {
						t.Fatalf("%d remain, want %d", got, free)
					}
					for n := range limit + 2 {
						at, known := b.FreeAt(time.Now(), n)
						if want, wantKnown := made.freeAt(now, n, limit); known != wantKnown || known && !at.Equal(want) {
							t.Fatalf("%d are free at %v (%t), want %v (%t)", n, at, known, want, wantKnown)
						}
					}
					for range 1 + random.IntN(3) {
						took := made.take(b, time.Duration(random.Int64N(int64(longest))))
						if took != (free > 0) {
							t.Fatalf("took one: %t, with %d free", took, free)
						}
						free = max(0, free-1)
					}
				}
				time.Sleep(2 * time.Minute)
				if worst := made.worst(); worst != limit {
					t.Errorf("at worst %d of %d requests in 60 s, of %d", worst, limit, len(made.list))
				}
			})
		})
	}
}

func TestBudgetHoldsWhileTheLimitChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(7, 7))
		b, made := petra.NewBudget(10), newSpans(t)
		limit, taken, refused := 10, 0, 0
		for range 1500 {
			time.Sleep(time.Duration(random.Int64N(int64(8 * time.Second))))
			synctest.Wait()
			if random.IntN(20) == 0 {
				limit = random.IntN(15)
				b.SetLimit(limit)
			}
			free := max(0, limit-made.counting(time.Now()))
			if state := b.State(time.Now()); state.Limit != limit || state.Remaining != free {
				t.Fatalf("%d of %d remain, want %d of %d", state.Remaining, state.Limit, free, limit)
			}
			if took := made.take(b, time.Duration(random.Int64N(int64(20*time.Second)))); took != (free > 0) {
				t.Fatalf("took one: %t, with %d of %d free", took, free, limit)
			} else if took {
				taken++
			} else {
				refused++
			}
		}
		if taken < 500 || refused < 250 {
			t.Errorf("took %d, refused %d: too few to say anything", taken, refused)
		}
	})
}

func TestBudgetManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, made := petra.NewBudget(7), newSpans(t)
		var took sync.Map
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				if made.take(b, time.Second) {
					took.Store(i, true)
				}
			})
		}
		all.Wait()
		n := 0
		took.Range(func(any, any) bool { n++; return true })
		if n != 7 {
			t.Errorf("%d of 50 at once were allowed, want 7", n)
		}
	})
}

// A request counts from its start until a minute after its end, that moment
// included.
func TestBudgetBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := petra.NewBudget(1)
		done, ok := b.Take()
		if !ok {
			t.Fatal("a new budget has none free")
		}
		time.Sleep(2 * time.Minute) // in flight all the while
		if second, ok := b.Take(); ok || second != nil {
			t.Error("a second one while the first is in flight")
		}
		if at, known := b.FreeAt(time.Now(), 1); known {
			t.Errorf("known to be free at %v, with one in flight", at)
		}
		done()
		ended := time.Now()
		if at, known := b.FreeAt(time.Now(), 1); !known || at.Sub(ended) != time.Minute+time.Nanosecond {
			t.Errorf("free %v after the end (%t)", at.Sub(ended), known)
		}
		if at, known := b.FreeAt(time.Now(), 2); known {
			t.Errorf("two of one are free at %v", at)
		}
		time.Sleep(time.Minute)
		if _, ok := b.Take(); ok {
			t.Error("free exactly a minute after the end")
		}
		time.Sleep(time.Nanosecond)
		if at, known := b.FreeAt(time.Now(), 1); !known || !at.Equal(time.Now()) {
			t.Errorf("free at %v (%t), want now", at, known)
		}
		if _, ok := b.Take(); !ok {
			t.Error("not free a minute and a nanosecond after the end")
		}
	})
}

func TestBudgetSetLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, made := petra.NewBudget(4), newSpans(t)
		for range 4 {
			made.take(b, 0)
		}
		synctest.Wait()
		for _, step := range []struct{ limit, remaining int }{{2, 0}, {4, 0}, {6, 2}, {0, 0}, {5, 1}} {
			b.SetLimit(step.limit)
			if got := b.State(time.Now()); got != (petra.BudgetState{Limit: step.limit, Remaining: step.remaining}) {
				t.Errorf("limit %d: %+v, want %d remaining", step.limit, got, step.remaining)
			}
		}
		if !made.take(b, 0) || made.take(b, 0) {
			t.Error("with 5 instead of 4, exactly one more is allowed")
		}
	})
}

// Where more is spent than a lowered limit allows, the surplus must have
// expired too before one is free.
func TestFreeAtAfterALowerLimit(t *testing.T) {
	for _, test := range []struct {
		name            string
		ended, inFlight int // one each second, then those in flight
		limit, n        int
		want            int // how many must expire; -1: not known
	}{
		{"as many as spent", 4, 0, 4, 1, 1},
		{"one surplus", 4, 0, 3, 1, 2},
		{"seven full reads, then five", 7, 0, 5, 1, 3},
		{"ten, then three", 10, 0, 3, 1, 8},
		{"ten, then three, all of them", 10, 0, 3, 3, 10},
		{"more than the limit", 10, 0, 3, 4, -1},
		{"those in flight fill it", 2, 3, 3, 1, -1},
		{"those in flight overfill it", 2, 3, 2, 1, -1},
		{"those in flight leave one", 2, 2, 3, 1, 2},
		{"limit 0", 1, 0, 0, 1, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := petra.NewBudget(10)
				var ends []time.Time
				for range test.ended {
					done, _ := b.Take()
					done()
					ends = append(ends, time.Now())
					time.Sleep(time.Second)
				}
				for range test.inFlight {
					if _, ok := b.Take(); !ok {
						t.Fatal("not enough")
					}
				}
				b.SetLimit(test.limit)
				at, known := b.FreeAt(time.Now(), test.n)
				switch {
				case test.want < 0 && known:
					t.Errorf("free at %v, want not known", at)
				case test.want > 0 && !known:
					t.Error("not known")
				case test.want > 0:
					if want := ends[test.want-1].Add(time.Minute + time.Nanosecond); !at.Equal(want) {
						t.Errorf("free %v from now, want %v", time.Until(at), time.Until(want))
					}
				}
			})
		})
	}
}

func TestBudgetBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := petra.NewBudget(3)
		start := time.Now()
		at := func(d time.Duration) time.Time { return start.Add(d) }
		b.Block("", at(50*time.Second))
		b.Block("", at(20*time.Second)) // an earlier one changes nothing
		want := petra.BudgetState{Limit: 3, Remaining: 0, Blocked: at(50 * time.Second)}
		if got := b.State(start); got != want {
			t.Errorf("blocked: %+v, want %+v", got, want)
		}
		if _, ok := b.Take(); ok {
			t.Error("took one while blocked")
		}
		if got, known := b.FreeAt(time.Now(), 3); !known || !got.Equal(want.Blocked) {
			t.Errorf("free at %v (%t), want the end of the block", got, known)
		}
		b.Block("", at(70*time.Second))
		time.Sleep(70*time.Second - 1)
		if _, ok := b.Take(); ok {
			t.Error("took one a nanosecond before the end of the block")
		}
		time.Sleep(time.Nanosecond)
		if got := b.State(time.Now()); !got.Blocked.IsZero() {
			t.Errorf("blocked until %v at its end", got.Blocked)
		}
		done, ok := b.Take()
		if !ok {
			t.Fatal("not free at the end of the block")
		}
		done()

		// The later of the two counts: the block or what was spent.
		for range 2 {
			done, _ := b.Take()
			done()
		}
		b.Block("", time.Now().Add(10*time.Second))
		if got, known := b.FreeAt(time.Now(), 1); !known || time.Until(got) != time.Minute+1 {
			t.Errorf("free in %v (%t), want a minute", time.Until(got), known)
		}
		b.Block("", time.Now().Add(10*time.Minute))
		if got, known := b.FreeAt(time.Now(), 1); !known || time.Until(got) != 10*time.Minute {
			t.Errorf("free in %v (%t), want ten minutes", time.Until(got), known)
		}
		b.SetAPI("another")
		if got := b.State(time.Now()); got != (petra.BudgetState{Limit: 3}) {
			t.Errorf("for another API: %+v", got)
		}
		time.Sleep(time.Minute + 1)
		if _, ok := b.Take(); !ok {
			t.Error("not free for another API")
		}
	})
}

// To ask what will be is not to let it happen.
func TestBudgetStateForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := petra.NewBudget(1)
		done, _ := b.Take()
		done()
		if got := b.State(time.Now().Add(time.Hour)).Remaining; got != 1 {
			t.Errorf("in an hour %d remain, want 1", got)
		}
		if _, ok := b.Take(); ok {
			t.Error("a second one within the minute, after a look ahead")
		}
	})
}

func TestNoBudgetSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(petratest.Documented(), petratest.Options{Limit: -1})
		c := newClient(t, newPipe(t, api))
		for _, route := range petra.Routes() {
			c.budgets[route].SetLimit(2)
		}
		for range 2 {
			if err := c.ask(t.Context(), petra.RouteIncidents); err != nil {
				t.Fatal(err)
			}
		}
		wantKind(t, c.ask(t.Context(), petra.RouteIncidents), petra.ErrNoBudget)
		if got, observed := len(api.Requests()), len(c.requests()); got != 2 || observed != 2 {
			t.Errorf("%d requests sent, %d observed, want 2", got, observed)
		}
		// The other route has its own.
		if err := c.ask(t.Context(), petra.RouteTenants); err != nil {
			t.Error(err)
		}
	})
}

// Against the API's own count, with answers that take their time, no request is
// one too many, and none is kept back for long.
func TestClientNeverExceedsTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(petratest.Documented(), petratest.Options{Keys: []string{testKey}})
		c := newClient(t, newPipe(t, api))
		random := rand.New(rand.NewPCG(3, 3))
		var all sync.WaitGroup
		for end := time.Now().Add(20 * time.Minute); time.Now().Before(end); {
			api.SetLatency(time.Duration(random.Int64N(int64(5 * time.Second))))
			all.Go(func() {
				if err := c.ask(t.Context(), petra.RouteIncidents); err != nil && !errors.Is(err, petra.ErrNoBudget) {
					t.Error(err)
				}
			})
			time.Sleep(time.Duration(random.Int64N(int64(3 * time.Second))))
		}
		all.Wait()
		if n := len(api.Requests()); n != len(c.requests()) || n < 170 {
			t.Errorf("%d requests came, %d were observed; want about 190 in 20 minutes", n, len(c.requests()))
		}
	})
}

// An answer that takes long counts until a minute after its end.
func TestRequestCountsUntilAMinuteAfterItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := petratest.NewAPI(petratest.Documented(), petratest.Options{Latency: 20 * time.Second})
		c := newClient(t, newPipe(t, api))
		start := time.Now()
		if err := c.ask(t.Context(), petra.RouteIncidents); err != nil {
			t.Fatal(err)
		}
		if at, known := c.budgets[petra.RouteIncidents].FreeAt(time.Now(), 10); !known || at.Sub(start) != 80*time.Second+1 {
			t.Errorf("all ten are free %v after the start (%t), want 80 s", at.Sub(start), known)
		}
	})
}
