package alertmanager

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// inbox is a mail server for one user, and keeps what arrives.
type inbox struct {
	mu    sync.Mutex
	mails []string
}

func (b *inbox) NewSession(*smtp.Conn) (smtp.Session, error) { return b, nil }
func (b *inbox) AuthMechanisms() []string                    { return []string{sasl.Plain} }
func (b *inbox) Mail(string, *smtp.MailOptions) error        { return nil }
func (b *inbox) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (b *inbox) Reset()                                      {}
func (b *inbox) Logout() error                               { return nil }

func (b *inbox) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "alertmanager@example.com" || password != "secret" {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (b *inbox) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mails = append(b.mails, string(content))
	return err
}

func (b *inbox) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mails
}

// The examples, in use: what PagerDuty, Slack and a mailbox get.
func TestReceivers(t *testing.T) {
	got := make(chan map[string]any, 10)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/petra" { // the webhooks stay besides
			return
		}
		body := map[string]any{"to": r.URL.Path}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		got <- body
		if r.URL.Path == "/pagerduty" {
			w.WriteHeader(http.StatusAccepted)
		} else if _, err := w.Write([]byte("ok")); err != nil {
			t.Error(err)
		}
	}))
	defer service.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mailbox := &inbox{}
	mailer := smtp.NewServer(mailbox)
	mailer.AllowInsecureAuth = true
	go func() { _ = mailer.Serve(listener) }()
	defer mailer.Close()

	secrets := t.TempDir()
	for name, content := range map[string]string{"pagerduty-key": "pager", "slack-webhook-url": service.URL + "/slack", "smtp-password": "secret"} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(content+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := strings.NewReplacer(
		"/run/secrets/", secrets+"/",
		"http://127.0.0.1:5001", service.URL,
		"smtp.example.com:587", listener.Addr().String()+"\n  smtp_require_tls: false\n  pagerduty_url: "+service.URL+"/pagerduty",
	).Replace(faster(t, uncommented(t), 300))
	am, shapes := &alertmanager{t: t, url: run(t, write(t, config)), began: time.Now()}, shapes(t)
	next := func() (body map[string]any) {
		t.Helper()
		select {
		case body = <-got:
		case <-time.After(patience):
			t.Fatal("nothing comes")
		}
		return body
	}
	am.fire(shapes["PetraIncidentOpen/critical"])

	incident := shapes["PetraIncidentOpen/critical"].Annotations
	const url = "https://app.petrasecurity.com/incidents/i1"
	page := next()
	payload := page["payload"].(map[string]any)
	if page["routing_key"] != "pager" || page["event_action"] != "trigger" || page["client_url"] != url ||
		payload["summary"] != "[critical] "+incident["summary"] || payload["severity"] != "critical" ||
		!strings.Contains(payload["custom_details"].(map[string]any)["text"].(string), incident["description"]) {
		t.Errorf("PagerDuty gets %v", page)
	}

	am.fire(shapes["PetraOpenBacklog/warning"])
	post := next()["attachments"].([]any)[0].(map[string]any)
	backlog := shapes["PetraOpenBacklog/warning"].Annotations
	if post["title"] != "[warning] "+backlog["summary"] || post["title_link"] != backlog["runbook_url"] || !strings.Contains(post["text"].(string), backlog["description"]) {
		t.Errorf("Slack gets %v", post)
	}

	am.fire(shapes["PetraNewIncident/info"])
	until(t, "a mail comes", func() bool { return len(mailbox.all()) > 0 })
	message, err := mail.ReadMessage(strings.NewReader(mailbox.all()[0]))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(message.Body))
	if err != nil {
		t.Fatal(err)
	}
	news := shapes["PetraNewIncident/info"].Annotations
	if message.Header.Get("Subject") != "[info] "+news["summary"] || !bytes.Contains(text, []byte(news["description"])) || bytes.Contains(text, []byte("text/html")) {
		t.Errorf("the mail is\n%v\n%s", message.Header, text)
	}
}
