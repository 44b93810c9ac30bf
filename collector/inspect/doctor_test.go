package inspect_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/petra-exporter/petra_exporter/collector/config"
	"github.com/petra-exporter/petra_exporter/collector/inspect"
	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

// classified makes all statuses of smallOrg known.
const classified = "open_statuses: [IN_PROGRESS]\n"

// unreached are the checks that need an answer of the API.
var unreached = []string{"clock", "key accepted", "/v1/tenants", "/v1/incidents", "limit", "tenants", "statuses"}

// diagnosis is one case: what to diagnose, and which checks are to be wrong or
// skipped, beside the one of Prometheus. The text is in testdata/doctor.
type diagnosis struct {
	setup   func(*testing.T) (api, inspect.Options)
	wrong   []string
	skipped []string
}

// plain is a case with the small organization at hand.
func plain(setup func(*testing.T, api) (api, inspect.Options), wrong []string, skipped ...string) diagnosis {
	return diagnosis{func(t *testing.T) (api, inspect.Options) { return setup(t, newAPI(t, smallOrg())) }, wrong, skipped}
}

// withConfig is a case that only the configuration tells from a good one.
func withConfig(yaml string, wrong []string, skipped ...string) diagnosis {
	return plain(func(t *testing.T, a api) (api, inspect.Options) { return a, a.options(t, yaml) }, wrong, skipped...)
}

// withKey is a case with another key file; content "-" makes none.
func withKey(content string, wrong []string, skipped ...string) diagnosis {
	return plain(func(t *testing.T, a api) (api, inspect.Options) {
		file := filepath.Join(t.TempDir(), "key")
		if content != "-" {
			writeFile(t, file, content)
		}
		return a, a.options(t, classified, func(o *config.Overrides) { o.APIKeyFile = file })
	}, wrong, skipped...)
}

// withFault is a case of a fault; an empty route means both.
func withFault(f petratest.Fault, route string, wrong []string, skipped ...string) diagnosis {
	return plain(func(t *testing.T, a api) (api, inspect.Options) {
		f.Match = func(r petratest.Request) bool { return route == "" || r.Route == route }
		a.SetFault(f)
		return a, a.options(t, classified+timeout(f.Kind))
	}, wrong, skipped...)
}

// withURL is a case of an address that is no API.
func withURL(url func(*testing.T) string, wrong []string, skipped ...string) diagnosis {
	return diagnosis{func(t *testing.T) (api, inspect.Options) {
		a := api{url: url(t)}
		return a, a.options(t, "api: {timeout: 5s}\n")
	}, wrong, append(skipped, unreached...)}
}

// withClock is a case of an API whose clock is off by d; 0 means that it tells none.
func withClock(d time.Duration, wrong []string, skipped ...string) diagnosis {
	return plain(func(t *testing.T, a api) (api, inspect.Options) {
		a = a.handle(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Date"] = nil
			if d != 0 {
				w.Header().Set("Date", time.Now().Add(d).UTC().Format(http.TimeFormat))
			}
			a.ServeHTTP(w, r)
		})
		return a, a.options(t, classified)
	}, wrong, skipped...)
}

// withTLS is a case of an API over TLS; yaml is what stands below tls_config
// beside the CA.
func withTLS(edit func(*x509.Certificate), server func(*tls.Config), yaml string, wrong []string, skipped ...string) diagnosis {
	return plain(func(t *testing.T, a api) (api, inspect.Options) {
		ca := newAuthority(t)
		a.url = serveTLS(t, a, ca.sign(edit), server)
		return a, a.options(t, classified+"api: {tls_config: {ca_file: "+ca.file+", "+yaml+"}}\n")
	}, wrong, skipped...)
}

// withProxy is a case of an API over TLS behind a proxy.
func withProxy(proxy func(*testing.T, *authority) string, wrong []string, skipped ...string) diagnosis {
	return plain(func(t *testing.T, a api) (api, inspect.Options) {
		ca := newAuthority(t)
		a.url = serveTLS(t, a, ca.sign(nil), nil)
		return a, a.options(t, classified+"api: {timeout: 10s, proxy_url: '"+proxy(t, ca)+"', tls_config: {ca_file: "+ca.file+"}}\n")
	}, wrong, skipped...)
}

// tunnel is a proxy that knows CONNECT and, if status is set, refuses it.
func tunnel(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if status != 0 || r.Method != http.MethodConnect {
			http.Error(w, "no", max(status, http.StatusMethodNotAllowed))
			return
		}
		there, err := net.Dial("tcp", r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		here, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() {
			_, _ = io.Copy(there, here)
			_ = there.Close()
		}()
		_, _ = io.Copy(here, there)
		_ = here.Close()
	}
}

func httpServer(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func expires(from, to time.Duration) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to) }
}

var (
	keyWrong  = []string{"proxy", "DNS", "connection", "TLS", "clock", "key accepted", "/v1/tenants", "/v1/incidents", "limit", "tenants", "statuses"}
	noTenants = []string{"tenants"}
)

var diagnoses = map[string]diagnosis{
	"good":     withConfig(classified, nil),
	"good-TLS": withTLS(nil, nil, "", nil),

	"config":      withConfig("max_staleness: 5\n", []string{"configuration"}, append([]string{"key"}, keyWrong...)...),
	"config-key":  withConfig("api: {authorization: {credential: "+testKey+"}}\n", []string{"configuration"}, append([]string{"key"}, keyWrong...)...),
	"config-ca":   withConfig("api: {tls_config: {ca_file: missing.pem}}\n", []string{"configuration"}, append([]string{"key"}, keyWrong...)...),
	"unknown":     withConfig("", []string{"statuses"}),
	"mistyped":    withConfig(classified+"tenants: [{id: aa1}, {id: cedar}, {id: Nobody}, {id: A1B2C3D4-5E6F-7890-ABCD-EF1234567890}]\n", []string{"tenants"}),
	"configured":  withConfig(classified+"tenants: [{id: Bb2}, {id: A1B2C3D4-5E6F-7890-ABCD-EF1234567890}]\n", nil),
	"one-tenant":  withConfig(classified+"tenants: [{id: Bb2}]\n", nil),
	"key-missing": withKey("-", []string{"key"}, keyWrong...),
	"key-empty":   withKey("\n", []string{"key"}, keyWrong...),
	"key-lines":   withKey(testKey+"\n"+testKey+"\n", []string{"key"}, keyWrong...),
	"key-space":   withKey(testKey[:20]+" "+testKey[20:], []string{"key"}, keyWrong...),
	"key-trimmed": withKey("\n "+testKey+"\t\r\n", nil),
	"key-usage":   withKey("petra_var_"+testKey, []string{"key"}, keyWrong...),
	"key-quoted":  withKey(`"`+testKey+`"`, []string{"key"}, keyWrong...),
	"key-none": plain(func(t *testing.T, a api) (api, inspect.Options) {
		return a, a.options(t, classified, func(o *config.Overrides) { o.APIKey = "" })
	}, []string{"key"}, keyWrong...),

	"DNS": withURL(func(*testing.T) string { return "https://petra.invalid" }, []string{"DNS"}, "connection", "TLS"),
	"closed": withURL(func(t *testing.T) string { return "https://" + closed(t) },
		[]string{"connection"}, "TLS"),
	"mute":   withURL(func(t *testing.T) string { return "https://" + mute(t) }, []string{"TLS"}),
	"no-TLS": withURL(func(t *testing.T) string { return strings.Replace(newAPI(t, smallOrg()).url, "http:", "https:", 1) }, []string{"TLS"}),

	"TLS-authority": plain(func(t *testing.T, a api) (api, inspect.Options) {
		a.url = serveTLS(t, a, newAuthority(t).sign(nil), nil)
		return a, a.options(t, "api: {tls_config: {ca_file: "+newAuthority(t).file+"}}\n")
	}, []string{"TLS"}, unreached...),
	"TLS-name":        withTLS(func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"petra.example"} }, nil, "", []string{"TLS"}, unreached...),
	"TLS-server-name": withTLS(func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"petra.example"} }, nil, "server_name: petra.example", nil),
	"TLS-expired":     withTLS(expires(-48*time.Hour, -time.Hour), nil, "", []string{"TLS"}, unreached...),
	"TLS-early":       withTLS(expires(time.Hour, 48*time.Hour), nil, "", []string{"TLS"}, unreached...),
	"TLS-expires":     withTLS(expires(-85*24*time.Hour, 5*24*time.Hour+time.Minute), nil, "", []string{"TLS"}),
	"TLS-short-lived": withTLS(expires(-4*24*time.Hour, 2*24*time.Hour), nil, "", nil),
	"TLS-client":      withTLS(nil, func(c *tls.Config) { c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12 }, "", []string{"TLS"}, unreached...),
	"TLS-version":     withTLS(nil, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, "min_version: TLS13", []string{"TLS"}, unreached...),
	"TLS-unverified":  withTLS(expires(-48*time.Hour, -time.Hour), nil, "insecure_skip_verify: true", nil),

	"proxy": withProxy(func(t *testing.T, _ *authority) string {
		return strings.Replace(httpServer(t, tunnel(0)), "http://", "http://someone:"+password+"@", 1)
	}, nil),
	"proxy-TLS": withProxy(func(t *testing.T, ca *authority) string { return serveTLS(t, tunnel(0), ca.sign(nil), nil) }, nil),
	"proxy-authority": withProxy(func(t *testing.T, _ *authority) string {
		return serveTLS(t, tunnel(0), newAuthority(t).sign(nil), nil)
	}, []string{"connection"}, append([]string{"TLS"}, unreached...)...),
	"proxy-refuses": withProxy(func(t *testing.T, _ *authority) string {
		return strings.Replace(httpServer(t, tunnel(http.StatusProxyAuthRequired)), "http://", "http://someone:"+password+"@", 1)
	}, []string{"connection"}, append([]string{"TLS"}, unreached...)...),
	"proxy-closed": withProxy(func(t *testing.T, _ *authority) string { return "http://someone:" + password + "@" + closed(t) },
		[]string{"connection"}, append([]string{"TLS"}, unreached...)...),
	"proxy-DNS": withProxy(func(*testing.T, *authority) string { return "http://proxy.invalid:3128" },
		[]string{"DNS"}, append([]string{"connection", "TLS"}, unreached...)...),

	"clock-behind": withClock(5*time.Minute, []string{"clock"}),
	"clock-ahead":  withClock(-5*time.Minute, []string{"clock"}),
	"clock-near":   withClock(-20*time.Second, nil),
	"clock-untold": withClock(0, nil, "clock"),

	"refused":       withFault(petratest.Fault{Kind: petratest.Status401}, "", []string{"key accepted"}, "/v1/tenants", "/v1/incidents", "tenants", "statuses"),
	"refused-there": withFault(petratest.Fault{Kind: petratest.Status401}, petratest.RouteTenants, []string{"/v1/tenants"}, "tenants"),
	"forbidden":     withFault(petratest.Fault{Kind: petratest.Status403}, petratest.RouteIncidents, []string{"/v1/incidents"}, "statuses"),
	"not-found":     withFault(petratest.Fault{Kind: petratest.Status404}, "", []string{"/v1/tenants", "/v1/incidents"}, "key accepted", "tenants", "statuses"),
	"limit":         withFault(petratest.Fault{Kind: petratest.Status429, RetryHeader: "Retry-After-public-api", RetryValue: "37"}, petratest.RouteIncidents, []string{"limit"}, "/v1/incidents", "statuses"),
	"limit-both":    withFault(petratest.Fault{Kind: petratest.Status429}, "", []string{"limit"}, "key accepted", "/v1/tenants", "/v1/incidents", "tenants", "statuses"),
	"redirect":      withFault(petratest.Fault{Kind: petratest.Redirect}, petratest.RouteTenants, []string{"/v1/tenants"}, noTenants...),
	"fails":         withFault(petratest.Fault{Kind: petratest.Status503}, "", []string{"/v1/tenants", "/v1/incidents"}, "key accepted", "tenants", "statuses"),
	"maintenance":   withFault(petratest.Fault{Kind: petratest.Status503, RetryHeader: "Retry-After", RetryValue: "3600"}, "", []string{"/v1/tenants", "/v1/incidents"}, "key accepted", "tenants", "statuses"),
	"portal":        withFault(petratest.Fault{Kind: petratest.HTML}, "", []string{"/v1/tenants", "/v1/incidents"}, "key accepted", "tenants", "statuses"),
	"hangs":         withFault(petratest.Fault{Kind: petratest.Hang}, petratest.RouteTenants, []string{"/v1/tenants"}, noTenants...),
	"hangs-always":  withFault(petratest.Fault{Kind: petratest.Hang}, "", []string{"/v1/tenants", "/v1/incidents"}, "clock", "key accepted", "limit", "tenants", "statuses"),
	"reset":         withFault(petratest.Fault{Kind: petratest.Reset}, petratest.RouteIncidents, []string{"/v1/incidents"}, "statuses"),
	"huge":          withFault(petratest.Fault{Kind: petratest.GzipBomb}, petratest.RouteIncidents, []string{"/v1/incidents"}, "statuses"),
	"echo":          withFault(petratest.Fault{Kind: petratest.EchoKey}, "", []string{"/v1/tenants", "/v1/incidents"}, "key accepted", "tenants", "statuses"),
	"no-tenants":    withFault(petratest.Fault{Kind: petratest.EmptyList}, petratest.RouteTenants, []string{"/v1/tenants"}),
	"no-incidents":  withFault(petratest.Fault{Kind: petratest.EmptyList}, petratest.RouteIncidents, nil),
	"unreadable": withFault(petratest.Fault{Kind: petratest.Damaged, DamageList: func(list []any) []any { list[len(list)-1] = 17; return list }},
		"", []string{"/v1/tenants", "/v1/incidents"}),
	"hostile-answer": withFault(petratest.Fault{Kind: petratest.Status500, Body: "\x1b[31m\u202e\u009bred\nok      forged"}, petratest.RouteTenants, []string{"/v1/tenants"}, noTenants...),
	"limit-above": {func(t *testing.T) (api, inspect.Options) {
		a := newAPI(t, smallOrg())
		return a, a.options(t, classified+"api: {requests_per_minute: 11}\n")
	}, []string{"limit"}, nil},
	"hostile": {func(t *testing.T) (api, inspect.Options) {
		a := newAPI(t, hostileOrg())
		return a, a.options(t, "tenants: [{id: TRUE}]\n")
	}, []string{"tenants", "statuses"}, nil},
	"cut": {func(t *testing.T) (api, inspect.Options) {
		a := newAPI(t, cutOrg())
		return a, a.options(t, "open_statuses: [ACTIVE]\n")
	}, nil, nil},
}

var (
	anyPort = regexp.MustCompile(`(127\.0\.0\.1|\[::1\]):\d+`)
	anyDate = regexp.MustCompile(`\b20\d\d-[01]\d-[0-3]\d(T[0-9:]+(Z|[+-]\d\d:\d\d))?`)
	lookup  = regexp.MustCompile(`\(dial tcp: lookup [^)]*\)|\(proxyconnect: dial tcp: lookup [^)]*\)`)
	anyUser = regexp.MustCompile(`uid \d+`)
	seconds = regexp.MustCompile(`is \d+m\d+s (ahead|behind)`)
)

// normal takes out of an output what is another at each run: ports, folders,
// times, and what the name server of the machine says.
func normal(t *testing.T, output string) string {
	t.Helper()
	output = anyPort.ReplaceAllString(output, "$1:PORT")
	output = anyDate.ReplaceAllString(output, "DATE")
	output = lookup.ReplaceAllString(output, "(LOOKUP)")
	output = anyUser.ReplaceAllString(output, "uid UID")
	output = seconds.ReplaceAllString(output, "is MINUTES $1")
	temporary := regexp.MustCompile(regexp.QuoteMeta(os.TempDir()) + `/[^/ ]+/\d+/`)
	return temporary.ReplaceAllString(output, "DIR/")
}

// TestDoctor holds what is said of each trouble, that it is the exit status,
// and that what depends on it is skipped and not called good.
func TestDoctor(t *testing.T) {
	for name, c := range diagnoses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, o := c.setup(t)
			good, output := diagnose(t, a, o, "")
			got := states(t, output)
			if good != (len(c.wrong) == 0) || !slices.Equal(got["wrong"], c.wrong) {
				t.Errorf("good: %t, wrong: %q, want %q", good, got["wrong"], c.wrong)
			}
			if want := append(slices.Clone(c.skipped), "Prometheus"); !slices.Equal(got["skipped"], want) {
				t.Errorf("skipped %q, want %q", got["skipped"], want)
			}
			if n := len(got["ok"]) + len(got["wrong"]) + len(got["skipped"]); n != 14 {
				t.Errorf("%d checks, want 14", n)
			}
			golden(t, "doctor/"+name+".txt", normal(t, output))
		})
	}
}

// TestDoctorFaults holds that no way in which the API fails passes for good.
func TestDoctorFaults(t *testing.T) {
	for _, kind := range petratest.FaultKinds() {
		if kind == petratest.IgnoredFilter {
			continue // there is no filter
		}
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			a := newAPI(t, smallOrg())
			a.SetFault(petratest.Fault{Kind: kind})
			good, output := diagnose(t, a, a.options(t, classified+timeout(kind)), "")
			if good || !strings.Contains(output, "\nwrong ") {
				t.Errorf("good:\n%s", output)
			}
		})
	}
}

// TestDoctorLimit holds that a limit that another program has spent is told,
// with the wait.
func TestDoctorLimit(t *testing.T) {
	a := newAPI(t, smallOrg())
	a.Spend(petratest.RouteTenants, 10)
	good, output := diagnose(t, a, a.options(t, classified), "")
	if got := states(t, output); good || !slices.Equal(got["wrong"], []string{"limit"}) {
		t.Errorf("wrong: %q", got["wrong"])
	}
	if !regexp.MustCompile(`\nwrong +limit +/v1/tenants: status 429 Too Many Requests \(waiting (1m0s|5\ds)\)`).MatchString(output) {
		t.Error(output)
	}
}

// TestDoctorEnvironment holds that a proxy of the environment is told, and one
// that is not used.
func TestDoctorEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		proxy, not, want string
	}{
		"used":     {"http://someone:" + password + "@127.0.0.1:1", "", "ok      proxy          127.0.0.1:1, by the environment\n"},
		"not used": {"http://127.0.0.1:1", "petra.invalid", "ok      proxy          none: HTTPS_PROXY is not used "},
		"no URL":   {"http://someone:50%" + password + "@proxy:3128", "", "wrong   configuration  environment variable HTTPS_PROXY: must be a URL such as "},
		"none":     {"", "", "ok      proxy          none\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HTTPS_PROXY", c.proxy)
			t.Setenv("NO_PROXY", c.not)
			a := api{url: "https://petra.invalid"}
			if _, output := diagnose(t, a, a.options(t, ""), ""); !strings.Contains(output, c.want) {
				t.Errorf("want %q:\n%s", c.want, output)
			}
		})
	}
}
