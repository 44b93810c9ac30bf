package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

const (
	// scale makes an hour a minute: max_staleness, of 1 h by default and at least
	// 1 m, allows no more.
	scale    = Scale(60)
	tenants  = 50
	password = "a password of this test"
	day      = 24 * time.Hour
)

// organization is all that runs.
type org struct {
	t            *testing.T
	dir          string
	petra        *petratest.Organization
	api          *petratest.API
	url          string // of the API
	pager        *pager
	door         *door // to the exporter
	alertmanager *process
	exporter     *process
	prometheus   *process
	query        prometheus.API
}

// newOrg starts everything.
func newOrg(t *testing.T) *org {
	w := &org{t: t, dir: t.TempDir(), petra: organization(time.Now()), pager: newPager(t), door: newDoor(t)}
	w.api = petratest.NewAPI(w.petra, petratest.Options{
		Keys: []string{"first-key"}, Limit: 10 * int(scale), Latency: scale.Duration(500 * time.Millisecond),
	})
	server, err := petratest.NewServer(w.api)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	w.url = server.URL
	w.prepareExporter()
	w.startExporter()
	w.startAlertmanager()
	w.startPrometheus()
	return w
}

func (w *org) path(name string) string           { return w.dir + "/" + name }
func (w *org) write(name string, content []byte) { write(w.t, content, w.dir, name) }

// binary is a program that make e2e has built.
func binary(name string) string {
	dir := "../../.cache/bin"
	if name == "petra_exporter" {
		dir = "../.."
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		panic(err)
	}
	return path
}

// organization is an MSP's: incidents of its last 60 days are all remediated. They
// are fewer than 500, so that each organization read reads all tenants whole: what the exporter
// does beside its organization reads has durations of its own, which are not divided.
func organization(now time.Time) *petratest.Organization {
	w := petratest.NewOrganization()
	for i := range tenants {
		w.SetTenant(petratest.Tenant{
			ID: tenant(i), Name: tenantName(i), Onboarded: now.Add(-365 * day),
			MicrosoftID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i),
		})
	}
	ago := func(d time.Duration) time.Time { return now.Add(-scale.Duration(d)) }
	for i := range 300 {
		created := 12*time.Hour + time.Duration(i)*60*day/300
		detection, remediation := 5*time.Minute, time.Duration(1+i%40)*15*time.Minute
		live := i%7 != 0
		if !live { // found by a look back
			detection = 20 * day
		}
		w.Add(petratest.Incident{
			ID: fmt.Sprintf("past-%d", i), TenantID: tenant(i % tenants), Live: live,
			CreatedAt: ago(created), OccurredAt: ago(created + detection), RemediatedAt: ago(created - remediation),
		})
	}
	return w
}

func tenant(i int) string     { return fmt.Sprintf("Tn%02dxy", i) }
func tenantName(i int) string { return fmt.Sprintf("Customer %d & Sons", i) }

// raise opens an incident now.
func (w *org) raise(id, tenant string) {
	now := time.Now()
	w.petra.Add(petratest.Incident{ID: id, TenantID: tenant, Live: true, CreatedAt: now, OccurredAt: now.Add(-scale.Duration(3 * time.Minute))})
}

// remediate ends an incident now, as the vendor or a person does.
func (w *org) remediate(id string) {
	if !w.petra.Update(id, func(in *petratest.Incident) { in.RemediatedAt = time.Now() }) {
		w.t.Fatalf("there is no incident %s", id)
	}
}

// prepareExporter writes the exporter's files: its key, a certificate, the shipped
// web.yml with the hash of a password, and the shipped configuration. Where that
// allows no shorter time, a request may take longer.
func (w *org) prepareExporter() {
	cert, key := certificate(w.t)
	w.write("exporter/petra_exporter.crt", cert)
	w.write("exporter/petra_exporter.key", key)
	w.write("prometheus/petra-ca.pem", cert)
	w.write("prometheus/petra-password", []byte(password+"\n"))
	w.write("exporter/api-key", []byte("first-key\n"))
	config := w.shipped("petra_exporter.yml")
	w.scale(config)
	child(child(config, "api"), "timeout").Value = "1s"
	child(child(config, "api"), "requests_per_minute").Value = strconv.Itoa(10 * int(scale))
	open := child(config, "open_statuses")
	open.Content = append(open.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "ACTIVE"})
	w.write("exporter/petra_exporter.yml", encoded(w.t, config))
	web := w.shipped("web.yml")
	users := child(web, "basic_auth_users")
	if users == nil || len(users.Content) != 2 {
		w.t.Fatal("web.yml has no user")
	}
	users.Content[1].Value = hash(w.t, password)
	w.write("exporter/web.yml", encoded(w.t, web))
}

// start starts a service as a file for Docker Compose does, its folders being
// here, and with more arguments.
func (w *org) start(compose, service string, args ...string) *process {
	w.t.Helper()
	folders := strings.NewReplacer(
		"=/etc/petra_exporter/", "="+w.path("exporter/"), "=/var/lib/petra_exporter/", "="+w.path("exporter/"), "=/run/secrets/petra-api-key", "="+w.path("exporter/api-key"),
		"=/etc/alertmanager/", "="+w.path("alertmanager/"), "=/alertmanager", "="+w.path("alertmanager/data"),
		"=/etc/prometheus/", "="+w.path("prometheus/"), "=/prometheus", "="+w.path("prometheus/data"),
	)
	var command []string
	for _, argument := range child(child(child(w.shipped(compose), "services"), service), "command").Content {
		command = append(command, folders.Replace(argument.Value))
	}
	return start(w.t, service, binary(service), append(append(command, "--web.listen-address=127.0.0.1:0"), args...)...)
}

// startExporter starts an exporter with the files that are there.
func (w *org) startExporter() {
	w.t.Helper()
	w.exporter = w.start("docker-compose.key.yml", "petra_exporter", "--petra.api-url="+w.url, "--web.config.file="+w.path("exporter/web.yml"),
		"--scrape.timeout-offset="+scale.Duration(500*time.Millisecond).String())
	w.door.to(w.exporter.addr)
}

// startAlertmanager starts Alertmanager with the shipped files, their webhooks led
// to the pager.
func (w *org) startAlertmanager() {
	config := w.shipped("alertmanager/alertmanager.yml")
	w.scale(config)
	w.replace(config, "http://127.0.0.1:5001/petra", w.pager.URL)
	w.write("alertmanager/alertmanager.yml", encoded(w.t, config))
	template, err := os.ReadFile(deploy + "alertmanager/petra.tmpl")
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("alertmanager/petra.tmpl", template)
	w.alertmanager = w.start("docker-compose.yml", "alertmanager")
}

// startPrometheus starts Prometheus with the shipped files. The flags are those
// of its own durations, at their defaults, divided. It has none for the 5 seconds
// in which it finds its first target, so that the rules come after that: with the
// others divided, it takes as long until PetraExporterDown fires.
func (w *org) startPrometheus() {
	config := w.prometheusFile()
	w.scale(config)
	w.replace(config, "alertmanager:9093", w.alertmanager.addr)
	w.replace(config, "petra_exporter:10984", w.door.addr())
	w.write("prometheus/prometheus.yml", encoded(w.t, config))
	w.prometheus = w.start("docker-compose.yml", "prometheus",
		"--query.lookback-delta="+scale.Duration(5*time.Minute).String(),
		"--rules.alert.resend-delay="+scale.Duration(time.Minute).String(),
		"--rules.alert.for-grace-period="+scale.Duration(10*time.Minute).String(),
		"--rules.alert.for-outage-tolerance="+scale.Duration(time.Hour).String())
	client, err := api.NewClient(api.Config{Address: "http://" + w.prometheus.addr})
	if err != nil {
		w.t.Fatal(err)
	}
	w.query = prometheus.NewAPI(client)
	w.waitFor("up == 1")

	for _, file := range []string{"petra.rules.yml", "petra.alerts.yml"} {
		rules := w.shipped("prometheus/" + file)
		w.scale(rules)
		w.write("prometheus/"+file, encoded(w.t, rules))
	}
	if err := w.prometheus.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		w.t.Fatal(err)
	}
	w.waitFor("organization:petra_incident_sla_seconds:default")
}

// prometheusFile is the shipped file, with the lines for TLS and a password that
// it has as comments.
func (w *org) prometheusFile() *yaml.Node {
	content, err := os.ReadFile(deploy + "prometheus/prometheus.yml")
	if err != nil {
		w.t.Fatal(err)
	}
	optional := regexp.MustCompile(`(?m)^( +)# (scheme|tls_config|basic_auth): `)
	if n := len(optional.FindAll(content, -1)); n != 3 {
		w.t.Fatalf("prometheus.yml has %d of 3 lines about TLS and a password", n)
	}
	var node yaml.Node
	if err := yaml.Unmarshal(optional.ReplaceAll(content, []byte("$1$2: ")), &node); err != nil {
		w.t.Fatal(err)
	}
	return node.Content[0]
}

// shipped is the content of a file in deploy.
func (w *org) shipped(file string) *yaml.Node { return document(w.t, file).Content[0] }

func (w *org) scale(node *yaml.Node) {
	if err := scale.YAML(node); err != nil {
		w.t.Fatal(err)
	}
}

// replace puts an address in the place of another, which must be there.
func (w *org) replace(node *yaml.Node, from, to string) {
	found := 0
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode && n.Value == from {
			n.Value = to
			found++
		}
		for _, below := range n.Content {
			walk(below)
		}
	}
	if walk(node); found == 0 {
		w.t.Fatalf("the shipped file has no %s", from)
	}
}

func encoded(t *testing.T, node *yaml.Node) []byte {
	content, err := yaml.Marshal(node)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// ask is what Prometheus answers to a query now.
func (w *org) ask(query string) (model.Vector, error) {
	value, _, _, err := w.query.Query(w.t.Context(), query, time.Time{})
	if err != nil {
		return nil, err
	}
	vector, ok := value.(model.Vector)
	if !ok {
		return nil, fatal{fmt.Errorf("%s is a %s", query, value.Type())}
	}
	return vector, nil
}

// value is the one value that a query gives.
func (w *org) value(query string) (value model.SampleValue) {
	w.t.Helper()
	until(w.t, query, func() error {
		vector, err := w.ask(query)
		if err == nil && len(vector) != 1 {
			err = fmt.Errorf("%d values", len(vector))
		}
		if err == nil {
			value = vector[0].Value
		}
		return err
	})
	return value
}

// waitFor waits until a query, which is a condition, has an answer. What holds
// may still have none for a moment, where a busy machine has missed a scrape.
func (w *org) waitFor(query string) {
	w.t.Helper()
	until(w.t, query, func() error { return w.holds(query) })
}

// holds reports whether a query has an answer.
func (w *org) holds(query string) error {
	vector, err := w.ask(query)
	if err == nil && len(vector) == 0 {
		err = errors.New("not true")
	}
	return err
}

// must fails where a query has no answer.
func (w *org) must(query string) {
	w.t.Helper()
	if err := w.holds(query); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
}

// firing is a query for an alert that fires in Prometheus, with more matchers.
func firing(alert string, matchers ...string) string {
	return fmt.Sprintf(`ALERTS{alertstate="firing",%s}`, strings.Join(append(matchers, fmt.Sprintf("alertname=%q", alert)), ","))
}
