package collector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-kit/log/level"
	"github.com/petra-exporter/petra_exporter/petra"
)

// readTries is how many requests in a row may fail. With the pauses between them,
// that is half an hour.
const readTries = 6

// readPause is how long to wait after the n-th failure.
func readPause(n int) time.Duration {
	return min(time.Minute<<n, 10*time.Minute)
}

// ReadAll reads every tenant in full, one request after the other. It retries a
// failure unless that cannot help. Call it instead of [Collector.Run]; it calls
// progress with the number of tenants read, the total, and how long the rest will
// take.
func (c *Collector) ReadAll(requestsPerMinute int, progress func(done, total int64, left time.Duration)) error {
	r := c.refresher
	w := r.active()
	r.budgets.SetLimit(requestsPerMinute)
	err := r.persist(petra.RouteTenants, func() error { return r.list(w) })
	if err != nil && (r.ctx.Err() != nil || len(w.cfg.Tenants) == 0) {
		return fmt.Errorf("the tenants cannot be listed: %w", err)
	}
	// If the organization has fewer than 500 incidents, this is all.
	if err := r.persist(petra.RouteIncidents, func() error { return r.fetch(w, "") }); err != nil {
		return fmt.Errorf("incidents cannot be read: %w", err)
	}
	total := len(w.store.fullReadTargets())
	for idle := 0; ; {
		pending := w.store.unread()
		left := len(pending)
		before := left
		var failure error
		for _, id := range pending {
			progress(int64(total-left), int64(total), time.Duration(left)*time.Minute/time.Duration(requestsPerMinute))
			err := r.paced(petra.RouteIncidents, func() error { return r.fetch(w, id) })
			switch {
			case hopeless(err) || r.ctx.Err() != nil:
				return err
			case err == nil, errors.Is(err, petra.ErrForbidden), errors.Is(err, petra.ErrNotFound):
				left--
			default:
				failure = fmt.Errorf("tenant %s: %w", id, err)
			}
		}
		progress(int64(total-left), int64(total), 0)
		switch {
		case failure == nil:
			return r.tellUnread(w.store)
		case left < before:
			idle = 0
		default:
			idle++
		}
		if idle == readTries {
			return fmt.Errorf("of %d tenants, %d cannot be read; last, %w", total, left, failure)
		}
		if err := pause(r.ctx, readPause(idle)); err != nil {
			return err
		}
	}
}

// hopeless reports whether a retry cannot succeed.
func hopeless(err error) bool {
	return errors.Is(err, petra.ErrUnauthorized) || errors.Is(err, petra.ErrKey)
}

// persist makes a request until it succeeds, or a retry cannot help.
func (r *refresher) persist(route petra.Route, request func() error) error {
	for n := 0; ; n++ {
		err := r.paced(route, request)
		if err == nil || hopeless(err) || errors.Is(err, petra.ErrForbidden) || errors.Is(err, petra.ErrNotFound) || n == readTries {
			return err
		}
		if err := pause(r.ctx, readPause(n)); err != nil {
			return err
		}
	}
}

// paced makes a request as soon as the budget has one free, and again after the
// API asked to wait.
func (r *refresher) paced(route petra.Route, request func() error) error {
	for {
		now := time.Now()
		at, _ := r.budgets[route].FreeAt(now, 1) // always known: nothing is in flight
		if err := pause(r.ctx, at.Sub(now)); err != nil {
			return err
		}
		err := request()
		if !errors.Is(err, petra.ErrNoBudget) && !errors.Is(err, petra.ErrRateLimited) {
			return err
		}
	}
}

// pause waits, or returns the error of ctx if that ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return ctx.Err()
	}
}

// unread are the tenants that are still to be read in full.
func (s *store) unread() (ids []string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, t := range s.collected() {
		if t.reads.readiness != complete && !t.refused {
			ids = append(ids, t.ID)
		}
	}
	return ids
}

// tellUnread logs which tenants' history will be missing from the file.
func (r *refresher) tellUnread(s *store) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	whole, truncated := 0, 0
	for _, t := range s.collected() {
		switch {
		case t.reads.readiness != complete || !s.canPublish(t):
			level.Warn(r.logger).Log("msg", "tenant cannot be read and is left out", "tenant_id", t.ID)
		case t.reads.truncated:
			truncated++
			fallthrough
		default:
			whole++
		}
	}
	if truncated > 0 {
		level.Warn(r.logger).Log("msg", "the API returns only the newest 500 incidents of a tenant; the history of these tenants begins with the oldest of those", "tenants", truncated)
	}
	if whole == 0 {
		return errors.New("no tenant could be read")
	}
	level.Info(r.logger).Log("msg", "every tenant is read", "tenants", whole)
	return nil
}
