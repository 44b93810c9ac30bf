package petra

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/config"
)

// MaxAnswerBytes is the largest answer that is read, after decompression.
const MaxAnswerBytes = 32 << 20

// Route is one of the API's routes; each has a request limit of its own.
type Route string

// The routes. The API's path of each is /v1/ and its name.
const (
	RouteIncidents Route = "incidents"
	RouteTenants   Route = "tenants"
)

// Routes lists every [Route].
func Routes() []Route {
	return []Route{RouteIncidents, RouteTenants}
}

// Request is one request that a [Client] has made.
type Request struct {
	Route    Route
	TenantID string    // as sent; empty for the whole organization
	Code     int       // the HTTP status, 0 where none came
	Date     time.Time // the API's clock when it answered, zero where it did not say
	Duration time.Duration
	Err      error // nil where the answer was good
	// Of a good answer:
	Received  int  // incidents or tenants
	Truncated bool // there may be more incidents
}

// ClientConfig says where the API is and how to call it.
type ClientConfig struct {
	// URL is the API's base, such as https://api.petrasecurity.com.
	URL *url.URL
	// HTTP has the TLS and proxy settings; nothing else of it is used. Redirects
	// are never followed, and Key authenticates.
	HTTP config.HTTPClientConfig
	// Key is read again for each request, so that a rotated file takes effect.
	Key config.SecretReader
	// Timeout bounds one request, its body included.
	Timeout time.Duration
	// Version goes into the User-Agent; the API answers 403 without one.
	Version string
	// Budgets has a budget for each route. They outlive the client: a new
	// configuration does not forget what the old one spent.
	Budgets Budgets
	// Observe, if set, is called with each request after it has ended.
	Observe func(Request)
}

// Client calls the Petra API. It is safe for concurrent use.
type Client struct {
	cfg       ClientConfig
	transport http.RoundTripper // follows no redirect
	proxy     func(*http.Request) (*url.URL, error)
}

// NewClient returns a client, or an error if a TLS or proxy setting is unusable.
// It sends nothing and reads no key.
func NewClient(cfg ClientConfig, opts ...config.HTTPClientOption) (*Client, error) {
	// On a connection that is used twice, net/http may send a request twice,
	// which the API counts and the budget would not; HTTP/2 resends too.
	opts = append(opts, config.WithKeepAlivesDisabled(), config.WithHTTP2Disabled())
	transport, err := config.NewRoundTripperFromConfig(config.HTTPClientConfig{
		TLSConfig: cfg.HTTP.TLSConfig, ProxyConfig: cfg.HTTP.ProxyConfig,
	}, "petra", opts...)
	if err != nil {
		return nil, err
	}
	return &Client{cfg, transport, cfg.HTTP.Proxy()}, nil
}

// CheckKey reports whether there is a key to send, with [ErrKey] if not.
func (c *Client) CheckKey(ctx context.Context) error {
	_, err := c.key(ctx)
	return err
}

// IncidentsQuery selects incidents.
type IncidentsQuery struct {
	// TenantID is a Petra or Microsoft tenant ID; empty means the whole organization.
	TenantID string
	// Since excludes incidents created before it; zero means no bound.
	Since time.Time
}

// Incidents reads the newest incidents of a tenant or of the organization, at
// most [MaxIncidents]. It returns [ErrNoBudget] or [ErrKey] if nothing was sent, a
// [StatusError], [ErrUndecodable], [ErrTooLarge], [ErrProxy], or the error of the
// transport or of ctx; [Kind] classifies them. An answer without a usable element
// is returned together with ErrUndecodable.
func (c *Client) Incidents(ctx context.Context, q IncidentsQuery) (*Incidents, error) {
	query := url.Values{"limit": {strconv.Itoa(MaxIncidents)}}
	if q.TenantID != "" {
		query.Set("tenantId", q.TenantID)
	}
	if !q.Since.IsZero() {
		query.Set("startDate", startDate(q.Since))
	}
	var answer *Incidents
	request := Request{Route: RouteIncidents, TenantID: q.TenantID}
	err := c.get(ctx, &request, query, func(body []byte, date time.Time) (err error) {
		if answer, err = decodeIncidents(body, date); err == nil {
			request.Received, request.Truncated = answer.Received, answer.Truncated()
		}
		return err
	})
	return answer, err
}

// Tenants reads the list of the organization's tenants, paused ones included.
// Its errors are those of [Client.Incidents].
func (c *Client) Tenants(ctx context.Context) (*Tenants, error) {
	var tenants *Tenants
	request := Request{Route: RouteTenants}
	err := c.get(ctx, &request, nil, func(body []byte, date time.Time) (err error) {
		if tenants, err = decodeTenants(body, date); err == nil {
			request.Received = len(tenants.Tenants)
		}
		return err
	})
	return tenants, err
}

func startDate(t time.Time) string {
	t = t.UTC()
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

// get makes one request within the route's budget and hands a good answer to
// decode.
func (c *Client) get(ctx context.Context, request *Request, query url.Values, decode func([]byte, time.Time) error) error {
	start := time.Now()
	key, err := c.key(ctx)
	if err != nil {
		return err
	}
	done, ok := c.cfg.Budgets[request.Route].Take()
	if !ok {
		return ErrNoBudget
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	err = c.send(ctx, request, query, key, decode)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no complete answer within %s: %w", c.cfg.Timeout, err)
	}
	request.Duration, request.Err = time.Since(start), err
	c.observe(*request)
	return err
}

// send makes the request, and records the status and headers of its answer.
func (c *Client) send(ctx context.Context, request *Request, query url.Values, key string, decode func([]byte, time.Time) error) (err error) {
	target := c.cfg.URL.JoinPath("v1", string(request.Route))
	target.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("User-Agent", "petra_exporter/"+c.cfg.Version)
	proxy := c.proxyOf(req)
	secrets := append(proxySecrets(proxy), key)
	defer func() { err = redactError(err, secrets) }()
	connected := false
	req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }}))
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		err = plainError(err)
		if proxy != nil && !connected && Kind(err) == KindConnection {
			err = fmt.Errorf("%w: %w", ErrProxy, err) // net/http gives the text of its answer alone
		}
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	request.Code = resp.StatusCode
	request.Date, _ = http.ParseTime(resp.Header.Get("Date"))
	body := io.Reader(resp.Body)
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		body = &lazyGzip{compressed: resp.Body}
	}
	if resp.StatusCode != http.StatusOK {
		err := newStatusError(resp)
		if err.Wait > 0 {
			c.cfg.Budgets[request.Route].Block(c.cfg.URL.String(), time.Now().Add(err.Wait))
		}
		if resp.StatusCode != http.StatusSwitchingProtocols { // which has no body, but a connection
			err.readBody(body, secrets)
		}
		return err
	}
	content, err := io.ReadAll(io.LimitReader(body, MaxAnswerBytes+1))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", plainError(err))
	}
	if len(content) > MaxAnswerBytes {
		return fmt.Errorf("%w: more than %d MiB", ErrTooLarge, MaxAnswerBytes>>20)
	}
	return decode(content, apiClock(resp))
}

// key returns the API key, or ErrKey: the header must be neither empty nor broken
// by the content of a file.
func (c *Client) key(ctx context.Context) (string, error) {
	if c.cfg.Key == nil {
		return "", ErrKey
	}
	key, err := c.cfg.Key.Fetch(ctx)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrKey, err)
	}
	if key == "" {
		return "", fmt.Errorf("%w: %s is empty", ErrKey, c.cfg.Key.Description())
	}
	for _, r := range key {
		if r <= ' ' || r > '~' {
			return "", fmt.Errorf("%w: %s contains a space, a line break or another character that no key has", ErrKey, c.cfg.Key.Description())
		}
	}
	return key, nil
}

// proxyOf returns the proxy that a request goes through, nil for none.
func (c *Client) proxyOf(req *http.Request) *url.URL {
	if c.proxy == nil {
		return nil
	}
	proxy, err := c.proxy(req)
	if err != nil {
		return nil // the request meets the same error
	}
	return proxy
}

// proxySecrets are the secrets sent to the proxy, which may echo them.
func proxySecrets(proxy *url.URL) []string {
	if proxy == nil {
		return nil
	}
	password, ok := proxy.User.Password()
	if !ok || password == "" {
		return nil
	}
	return []string{base64.StdEncoding.EncodeToString([]byte(proxy.User.Username() + ":" + password)), password}
}

func (c *Client) observe(r Request) {
	if c.cfg.Observe != nil {
		c.cfg.Observe(r)
	}
}

// apiClock returns the answer's Date, or our clock if there is none.
func apiClock(resp *http.Response) time.Time {
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		return date
	}
	return time.Now()
}
