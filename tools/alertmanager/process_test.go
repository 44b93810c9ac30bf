package alertmanager

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must come; nothing depends on how
// soon it does.
const patience = 60 * time.Second

// message is what Alertmanager sends to a webhook.
type message struct {
	Receiver string            `json:"receiver"`
	Status   string            `json:"status"`
	Group    map[string]string `json:"groupLabels"`
	Alerts   []alert           `json:"alerts"`
}

func (m message) firing() (n int) {
	for _, a := range m.Alerts {
		if a.Status == "firing" {
			n++
		}
	}
	return n
}

// alertmanager is a running one, with what it has sent to its webhooks.
type alertmanager struct {
	t     *testing.T
	url   string
	began time.Time

	mu   sync.Mutex
	sent []message
}

// start runs Alertmanager with the shipped configuration, its durations divided,
// until the test ends.
func start(t *testing.T, dividedBy int64) *alertmanager {
	am := &alertmanager{t: t, began: time.Now().Add(-time.Hour)}
	webhook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Errorf("the webhook got no JSON: %v", err)
		}
		am.mu.Lock()
		defer am.mu.Unlock()
		am.sent = append(am.sent, m)
	}))
	t.Cleanup(webhook.Close)
	config := read(t, configDir+"alertmanager.yml")
	const placeholder = "      - url: http://127.0.0.1:5001/petra\n"
	if got := strings.Count(config, placeholder); got != 3 {
		t.Fatalf("%d receivers have an active webhook, want 3", got)
	}
	config = strings.ReplaceAll(config, placeholder, "      - url: "+webhook.URL+"\n")
	am.url = run(t, write(t, faster(t, config, dividedBy)))
	return am
}

// run starts Alertmanager and returns its address once it is ready.
func run(t *testing.T, config string) string {
	command := exec.Command(bin+"alertmanager", "--config.file="+config, "--storage.path="+t.TempDir(),
		"--cluster.listen-address=", "--web.listen-address=127.0.0.1:0")
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("%v; make alertmanager builds it", err)
	}
	address, ended := make(chan string, 1), make(chan string, 1)
	go func() {
		var log strings.Builder
		listening := regexp.MustCompile(`msg="Listening on" address=(\S+)`)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(&log, lines.Text())
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
			}
		}
		ended <- log.String()
	}()
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		log := <-ended
		if err := command.Wait(); err != nil {
			t.Errorf("Alertmanager ended with %v", err)
		}
		if t.Failed() {
			t.Log(log)
		}
	})
	select {
	case at := <-address:
		url := "http://" + at
		until(t, "Alertmanager is ready", func() bool {
			resp, err := http.Get(url + "/-/ready")
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			return resp.StatusCode == http.StatusOK
		})
		return url
	case log := <-ended:
		ended <- log
		t.Fatalf("Alertmanager does not start:\n%s", log)
	case <-time.After(patience):
		t.Fatal("Alertmanager does not listen")
	}
	return ""
}

// until polls for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// fire sends alerts as Prometheus does.
func (am *alertmanager) fire(alerts ...alert) {
	am.t.Helper()
	am.post(alerts, time.Now().Add(time.Hour))
}

// resolve says that they are over.
func (am *alertmanager) resolve(alerts ...alert) {
	am.t.Helper()
	am.post(alerts, time.Now())
}

func (am *alertmanager) post(alerts []alert, end time.Time) {
	am.t.Helper()
	all := slices.Clone(alerts)
	for i := range all {
		all[i].StartsAt, all[i].EndsAt = am.began, end
	}
	body, err := json.Marshal(all)
	if err != nil {
		am.t.Fatal(err)
	}
	resp, err := http.Post(am.url+"/api/v2/alerts", "application/json", bytes.NewReader(body))
	if err != nil {
		am.t.Fatal(err)
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		am.t.Fatalf("Alertmanager answers %s: %s", resp.Status, said)
	}
}

// states has each firing alert by kind and tenant, and whether it is inhibited.
func (am *alertmanager) states() map[string]bool {
	am.t.Helper()
	resp, err := http.Get(am.url + "/api/v2/alerts")
	if err != nil {
		am.t.Fatal(err)
	}
	defer resp.Body.Close()
	var alerts []struct {
		alert
		Status struct {
			InhibitedBy []string `json:"inhibitedBy"`
		} `json:"status"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&alerts); err != nil {
		am.t.Fatal(err)
	}
	all := map[string]bool{}
	for _, a := range alerts {
		all[a.kind()+" "+a.Labels["tenant_id"]] = len(a.Status.InhibitedBy) > 0
	}
	return all
}

// inhibited is how many alerts were taken out of notifications so far.
func (am *alertmanager) inhibited() (n int) {
	am.t.Helper()
	resp, err := http.Get(am.url + "/metrics")
	if err != nil {
		am.t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if count, found := strings.CutPrefix(lines.Text(), `alertmanager_notifications_suppressed_total{reason="inhibition"} `); found {
			if _, err := fmt.Sscan(count, &n); err != nil {
				am.t.Fatal(err)
			}
		}
	}
	return n
}

// messages are those sent so far to which it applies.
func (am *alertmanager) messages(which func(message) bool) (some []message) {
	am.mu.Lock()
	defer am.mu.Unlock()
	for _, m := range am.sent {
		if which(m) {
			some = append(some, m)
		}
	}
	return some
}

// told waits for a message of the group with so many firing alerts; where there
// are none, for one that says that all is over.
func (am *alertmanager) told(name, tenant string, firing int) {
	am.t.Helper()
	until(am.t, fmt.Sprintf("%s %s with %d firing", name, tenant, firing), func() bool {
		return len(am.messages(func(m message) bool {
			return m.Group["alertname"] == name && m.Group["tenant_id"] == tenant && m.firing() == firing
		})) > 0
	})
}

func (am *alertmanager) all() []message { return am.messages(func(message) bool { return true }) }
