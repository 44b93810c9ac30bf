package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// message is what Alertmanager says of one alert, in one of its notifications.
type message struct {
	At           time.Time
	Notification int    // several alerts may be in one
	Receiver     string // of Alertmanager's configuration
	Status       string // firing or resolved
	Labels       map[string]string
	Annotations  map[string]string
}

func (m message) String() string {
	return fmt.Sprintf("%s %d %s: %s %v %q", m.At.Format("15:04:05.0"), m.Notification, m.Receiver, m.Status, m.Labels, m.Annotations["summary"])
}

// is reports whether the message is about an alert, or an alert of a severity:
// "PetraApiDown", "PetraApiDown/warning".
func (m message) is(alert string) bool {
	name, severity, both := strings.Cut(alert, "/")
	return m.Labels["alertname"] == name && (!both || m.Labels["severity"] == severity)
}

// pager is the webhook that Alertmanager sends to: what a person gets.
type pager struct {
	*httptest.Server
	t        *testing.T
	since    time.Time // start of the story
	mu       sync.Mutex
	number   int
	messages []message
}

func newPager(t *testing.T) *pager {
	p := &pager{t: t}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *pager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var notification struct {
		Receiver string    `json:"receiver"`
		Alerts   []message `json:"alerts"`
	}
	if err := json.NewDecoder(r.Body).Decode(&notification); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.number++
	for _, m := range notification.Alerts {
		m.At, m.Notification, m.Receiver = time.Now(), p.number, notification.Receiver
		p.messages = append(p.messages, m)
		p.t.Log(m)
	}
}

func (p *pager) all() []message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.messages)
}

// about are this story's messages about an alert with a status, of one incident
// where it is not empty.
func (p *pager) about(alert, status, incident string) (found []message) {
	for _, m := range p.all() {
		if m.At.After(p.since) && m.is(alert) && m.Status == status && (incident == "" || m.Labels["incident_id"] == incident) {
			found = append(found, m)
		}
	}
	return found
}

// waitFor waits for the story's first such message.
func (p *pager) waitFor(t *testing.T, alert, status, incident string) message {
	t.Helper()
	var found []message
	until(t, strings.Join(strings.Fields("notified: "+alert+" "+status+" "+incident), " "), func() error {
		if found = p.about(alert, status, incident); len(found) == 0 {
			return fmt.Errorf("%d messages about other things", len(p.all()))
		}
		return nil
	})
	return found[0]
}
