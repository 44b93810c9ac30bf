package petra_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/petra-exporter/petra_exporter/petra"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
	"github.com/prometheus/common/config"
)

// The forms in which programs write a text: each language has its own escapes.
var escapes = map[string]func(string) string{
	"raw":                 func(s string) string { return s },
	"in a query":          url.QueryEscape,
	"in a path":           url.PathEscape,
	"percent, lower case": func(s string) string { return lowerPercent(url.QueryEscape(s)) },
	"encodeURIComponent": func(s string) string {
		return strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(url.QueryEscape(s))
	},
	"JSON of Go": func(s string) string {
		quoted := strconv.Quote(s)
		return strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`).Replace(quoted[1 : len(quoted)-1])
	},
	"JSON of JavaScript": strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace,
	"JSON of PHP":        strings.NewReplacer(`\`, `\\`, `"`, `\"`, `/`, `\/`).Replace,
	"JSON of .NET": strings.NewReplacer(`\`, `\\`, `"`, `\u0022`, `'`, `\u0027`, `+`, `\u002B`,
		`<`, `\u003C`, `>`, `\u003E`, `&`, `\u0026`, "`", `\u0060`).Replace,
	"HTML of Go":      html.EscapeString,
	"HTML of Python":  strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;").Replace,
	"HTML of Lodash":  strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;").Replace,
	"XML":             strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;").Replace,
	"HTML, all of it": strings.NewReplacer("&", "&amp;", "/", "&#x2F;", "+", "&#43;", "=", "&#x3D;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;").Replace,
}

func lowerPercent(s string) string {
	parts := strings.Split(s, "%")
	for i, part := range parts[1:] {
		parts[i+1] = strings.ToLower(part[:2]) + part[2:]
	}
	return strings.Join(parts, "%")
}

func TestEchoedKeyIsScrubbed(t *testing.T) {
	for name, key := range map[string]string{
		"simple":        testKey,
		"base64":        "q83vEjRWeJ/rze8SNFZ4+rze8/SN==",
		"of every kind": `k1"w9\x7<z5&y3>v1'u8/t6+s4=r2%41q0;p`,
	} {
		for form, escape := range escapes {
			t.Run(name+", "+form, func(t *testing.T) {
				echo := escape(key)
				body := `{"error": "cannot handle Authorization: Bearer ` + echo + ` and ` + echo + `", "at": "` + echo + `."}`
				c := newClient(t, served(t, answering(500, nil, body)), withKey(config.NewInlineSecret(key)))
				err := c.ask(t.Context(), petra.RouteIncidents)
				wantNoKey(t, err, key)
				wantNoKey(t, err, echo)
				var status *petra.StatusError
				if !errors.As(err, &status) || strings.Count(status.Body, "<secret>") != 3 || !strings.HasSuffix(status.Body, `."}`) {
					t.Errorf("the key is not replaced, or more than it: %v", err)
				}
			})
		}
	}
}

// The body is scrubbed before it is cut, so that no part of a key is left at
// the edge, wherever the key stands.
func TestBodyIsCutAfterScrubbing(t *testing.T) {
	for before := range 210 {
		body := strings.Repeat("é", before) + testKey + strings.Repeat("z", 300)
		err := newClient(t, served(t, answering(500, nil, body))).ask(t.Context(), petra.RouteIncidents)
		wantNoKey(t, err, testKey)
		var status *petra.StatusError
		if !errors.As(err, &status) {
			t.Fatal(err)
		}
		want := []rune(strings.Repeat("é", before) + "<secret>" + strings.Repeat("z", 300))[:200]
		if status.Body != string(want) {
			t.Fatalf("%d characters before: %q", before, status.Body)
		}
	}
}

// Where only a part of the body comes, or is looked at, a part of the key may
// stand at its end.
func TestNoHalfAKeyAtTheEndOfABody(t *testing.T) {
	half := testKey[:len(testKey)/2]
	for name, dial := range map[string]config.DialContextFunc{
		"the connection ends": replying("HTTP/1.1 500 No\r\nContent-Length: 500\r\n\r\nBearer "+half, nil),
		"a chunk is missing":  replying(fmt.Sprintf("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", 7+len(half), "Bearer "+half), nil),
		"much space before":   served(t, answering(500, nil, strings.Repeat(" ", 64<<10-len(half))+testKey)),
		"many keys before":    served(t, answering(500, nil, strings.Repeat("\x00", 64<<10-10*len(testKey)-len(half))+strings.Repeat(testKey, 20))),
	} {
		t.Run(name, func(t *testing.T) {
			err := newClient(t, dial).ask(t.Context(), petra.RouteIncidents)
			if _, ok := errors.AsType[*petra.StatusError](err); !ok {
				t.Fatalf("got %v", err)
			}
			wantNoKey(t, err, testKey)
		})
	}
}

func TestBodyIsOneReadableLine(t *testing.T) {
	for body, want := range map[string]string{
		"":                                   "",
		" \r\n\t ":                           "",
		"a\r\nb\x00c\x1b[31md\u0085e\u202ef": "a b c [31md e f",
		"\u200bzero\ufeffwidth\u2028":        "zero width",
		"tenant  «Ünïcode»   ok":             "tenant «Ünïcode» ok",
		"bad \xff\xfe bytes":                 "bad �� bytes",
		strings.Repeat("é", 201):             strings.Repeat("é", 200),
		strings.Repeat("x", 200):             strings.Repeat("x", 200),
		strings.Repeat("ab \n", 100):         strings.Repeat("ab ", 67)[:200],
	} {
		err := newClient(t, served(t, answering(500, nil, body))).ask(t.Context(), petra.RouteIncidents)
		var status *petra.StatusError
		if !errors.As(err, &status) || status.Body != want {
			t.Errorf("%.40q became %.60q, want %.60q", body, status.Body, want)
		}
		if strings.ContainsFunc(status.Body, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q is not printable", status.Body)
		}
	}
}

// An error's body may name the person whose incident could not be read.
func TestNoMailAddressOfAnErrorBody(t *testing.T) {
	for body, want := range map[string]string{
		"no rights for zoe.o'hara+x@victim.example.":    "no rights for <address>.",
		`{"user":"zoe@victim.example","n":1}`:           `{"user":"<address>","n":1}`,
		"zoe%40victim.example":                          "<address>",
		`zoe\u0040victim.example, Zoë@Víctim.example`:   "<address>, <address>",
		"ZOE_victim.example#EXT#@x.onmicrosoft.com!":    "<address>!",
		"mailto:zoe@victim.example?x":                   "mailto:<address>?x",
		"at 12:00 @ night, a@ b, @c":                    "at 12:00 @ night, a@ b, @c",
		strings.Repeat("é ", 98) + "zoe@victim.example": strings.Repeat("é ", 98) + "<add",
	} {
		err := newClient(t, served(t, answering(500, nil, body))).ask(t.Context(), petra.RouteIncidents)
		var status *petra.StatusError
		if !errors.As(err, &status) || status.Body != want {
			t.Errorf("%.60q became %.60q, want %.60q", body, status.Body, want)
		}
	}
}

func TestCompressedErrorBody(t *testing.T) {
	api := petratest.NewAPI(petratest.NewOrganization(), petratest.Options{})
	api.SetFault(petratest.Fault{Kind: petratest.Status500, Body: "out of order"})
	err := newClient(t, newPipe(t, api)).ask(t.Context(), petra.RouteTenants)
	var status *petra.StatusError
	if !errors.As(err, &status) || status.Body != "out of order" {
		t.Errorf("got %v", err)
	}
	// One that says so and is not, is no reason to hide the status.
	err = newClient(t, served(t, answering(503, http.Header{"Content-Encoding": {"gzip"}}, "not compressed"))).ask(t.Context(), petra.RouteTenants)
	if !errors.As(err, &status) || status.Code != 503 || status.Body != "" {
		t.Errorf("got %v", err)
	}
}

// The transport's errors quote what they could not read.
func TestKeyEchoedOutsideABody(t *testing.T) {
	for name, reply := range map[string]string{
		"status line":        "Bearer " + testKey + "\r\n\r\n",
		"reason":             "HTTP/1.1 500 " + testKey + "\r\nContent-Length: 0\r\n\r\n",
		"status":             "HTTP/1.1 " + testKey + " OK\r\n\r\n",
		"version":            "HTTP/" + testKey + " 200 OK\r\n\r\n",
		"header":             "HTTP/1.1 200 OK\r\nAuthorization Bearer " + testKey + "\r\n\r\n",
		"header's name":      "HTTP/1.1 200 OK\r\nBearer " + testKey + ": x\r\n\r\n",
		"length":             "HTTP/1.1 200 OK\r\nContent-Length: " + testKey + "\r\n\r\n",
		"transfer encoding":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + testKey + "\r\n\r\n",
		"chunk length":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + testKey + "\r\n",
		"redirect":           "HTTP/1.1 302 Found\r\nLocation: http://elsewhere.invalid/?key=" + testKey + "\r\nContent-Length: 0\r\n\r\n",
		"unreadable address": "HTTP/1.1 302 Found\r\nLocation: http://[elsewhere/?key=" + testKey + "\r\nContent-Length: 0\r\n\r\n",
		"content encoding":   "HTTP/1.1 200 OK\r\nContent-Encoding: " + testKey + "\r\nContent-Length: 1\r\n\r\nx",
		"JSON":               "HTTP/1.1 200 OK\r\nContent-Length: 37\r\n\r\n\"" + testKey + "\"",
	} {
		t.Run(name, func(t *testing.T) {
			err := newClient(t, replying(reply, nil)).ask(t.Context(), petra.RouteIncidents)
			if err == nil {
				t.Fatal("no error")
			}
			wantNoKey(t, err, testKey)
		})
	}
}

// badKeys cannot be sent; file is the content of a key file.
var badKeys = map[string]struct {
	file string
	want string // what the error says
}{
	"empty":         {"", "empty"},
	"only newlines": {"\n\r\n \n", "empty"},
	"two lines":     {testKey + "\n" + testKey + "\n", "line break"},
	"CR inside":     {testKey + "\r" + testKey, "line break"},
	"space":         {testKey[:9] + " " + testKey[9:], "space"},
	"tab":           {testKey[:9] + "\t" + testKey[9:], "space"},
	"non-ASCII":     {testKey + "é", "character"},
	"byte order":    {"\ufeff" + testKey, "character"},
	"NUL":           {testKey + "\x00", "character"},
	"DEL":           {testKey + "\x7f", "character"},
	"UTF-16":        {"p\x00k\x00_\x00", "character"},
	"not UTF-8":     {testKey + "\xff", "character"},
}

func TestUnusableKeys(t *testing.T) {
	type row struct {
		key  config.SecretReader
		want string
	}
	rows := map[string]row{
		"none":          {nil, "no usable API key"},
		"inline, empty": {config.NewInlineSecret(""), "empty"},
		"no such file":  {config.NewFileSecret(filepath.Join(t.TempDir(), "missing")), "missing"},
		"a directory":   {config.NewFileSecret(t.TempDir()), "directory"},
	}
	for name, bad := range badKeys {
		rows["file, "+name] = row{config.NewFileSecret(writeKey(t, bad.file)), bad.want}
		if bad.want != "empty" {
			rows["inline, "+name] = row{config.NewInlineSecret(bad.file), bad.want}
		}
	}
	for name, test := range rows {
		t.Run(name, func(t *testing.T) {
			api := petratest.NewAPI(petratest.Documented(), petratest.Options{})
			c := newClient(t, newPipe(t, api), withKey(test.key))
			check := c.CheckKey(t.Context())
			wantKind(t, check, petra.ErrKey)
			for _, route := range petra.Routes() {
				err := c.ask(t.Context(), route)
				wantKind(t, err, petra.ErrKey)
				wantNoKey(t, err, testKey)
				if !strings.Contains(err.Error(), test.want) || check.Error() != err.Error() {
					t.Errorf("%q, and of CheckKey %q: want %q", err, check, test.want)
				}
				if n := c.spent(route); n != 0 {
					t.Errorf("%d spent", n)
				}
			}
			if got := c.requests(); len(got) != 0 {
				t.Errorf("observed %+v, but nothing was sent", got)
			}
			if n := len(api.Requests()); n != 0 {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
}

// A key that cannot be used is told also while nothing may be sent.
func TestUnusableKeyWithoutBudget(t *testing.T) {
	c := newClient(t, served(t, good(`{}`)), withKey(nil))
	c.budgets[petra.RouteIncidents].SetLimit(0)
	wantKind(t, c.ask(t.Context(), petra.RouteIncidents), petra.ErrKey)
}

func writeKey(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestKeyFileIsTrimmed(t *testing.T) {
	for _, content := range []string{testKey, testKey + "\n", testKey + "\r\n", "\n " + testKey + " \n\n"} {
		api := petratest.NewAPI(petratest.Documented(), petratest.Options{Keys: []string{testKey}})
		c := newClient(t, newPipe(t, api), withKey(config.NewFileSecret(writeKey(t, content))))
		if err := errors.Join(c.CheckKey(t.Context()), c.ask(t.Context(), petra.RouteIncidents)); err != nil {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestRotatedKeyFile(t *testing.T) {
	api := petratest.NewAPI(petratest.Documented(), petratest.Options{Keys: []string{testKey}})
	file := writeKey(t, testKey+"\n")
	c := newClient(t, newPipe(t, api), withKey(config.NewFileSecret(file)))
	for _, step := range []struct {
		content string
		want    error
		sent    int
	}{
		{testKey + "\n", nil, 1},
		{"another-key\n", nil, 2},
		{"", petra.ErrKey, 2},
		{testKey + "\n", petra.ErrUnauthorized, 3},
		{"another-key", nil, 4},
	} {
		if err := os.WriteFile(file, []byte(step.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(step.content, "another") {
			api.SetKeys("another-key")
		}
		if err := c.ask(t.Context(), petra.RouteIncidents); !errors.Is(err, step.want) {
			t.Errorf("with %q: %v, want %v", step.content, err, step.want)
		}
		if n := len(api.Requests()); n != step.sent || c.spent(petra.RouteIncidents) != n {
			t.Errorf("with %q: %d sent, %d spent, want %d", step.content, n, c.spent(petra.RouteIncidents), step.sent)
		}
	}
}

// brokenSecret fails, as a secret's manager may.
type brokenSecret struct{ err error }

func (s brokenSecret) Fetch(context.Context) (string, error) { return testKey, s.err }
func (brokenSecret) Description() string                     { return "a manager" }
func (brokenSecret) Immutable() bool                         { return false }

func TestKeyThatCannotBeFetched(t *testing.T) {
	c := newClient(t, served(t, good(`{}`)), withKey(brokenSecret{io.ErrNoProgress}))
	err := c.ask(t.Context(), petra.RouteTenants)
	wantKind(t, err, petra.ErrKey)
	wantNoKey(t, err, testKey)
	if !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("%v does not have its cause", err)
	}
}

func TestRoutesAreAllListed(t *testing.T) {
	if got := petra.Routes(); !slices.Equal(got, []petra.Route{"incidents", "tenants"}) {
		t.Errorf("routes %v", got)
	}
}
