package main

import (
	"io"
	"testing"
	"time"
)

// TestLevelOff: a level that stays, with answers in flight that come and go, and
// levels that rise, each by itself.
func TestLevelOff(t *testing.T) {
	const scrapes, mebibyte = 400, 1 << 20
	steady := func(i int) level {
		return level{heap: float64(10+i%7*9) * mebibyte, goroutines: float64(60 + i%5), descriptors: float64(55 + i%5)}
	}
	rising := func(change func(l *level, share float64)) func(int) level {
		return func(i int) level {
			l := steady(i)
			change(&l, float64(i)/scrapes)
			return l
		}
	}
	leak := rising(func(l *level, share float64) { l.heap += share * 12 * mebibyte })
	for name, c := range map[string]struct {
		levels func(int) level
		length time.Duration
		good   bool
	}{
		"steady":                     {steady, 30 * time.Minute, true},
		"heap rises":                 {leak, 30 * time.Minute, false},
		"heap rises, in seconds":     {leak, 20 * time.Second, true},
		"heap rises much":            {rising(func(l *level, share float64) { l.heap += share * 200 * mebibyte }), 20 * time.Second, false},
		"goroutines rise":            {rising(func(l *level, share float64) { l.goroutines += share * 50 }), 30 * time.Minute, false},
		"descriptors rise":           {rising(func(l *level, share float64) { l.descriptors += share * 50 }), 20 * time.Second, false},
		"descriptors rise by a few":  {rising(func(l *level, share float64) { l.descriptors += share * 5 }), 30 * time.Minute, true},
		"heap falls after the start": {rising(func(l *level, share float64) { l.heap += (1 - share) * 50 * mebibyte }), 30 * time.Minute, true},
	} {
		var levels []level
		for i := range scrapes {
			levels = append(levels, c.levels(i))
		}
		if err := levelOff(io.Discard, levels, c.length); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := levelOff(io.Discard, make([]level, 3), time.Minute); err == nil {
		t.Error("three scrapes are enough")
	}
}
