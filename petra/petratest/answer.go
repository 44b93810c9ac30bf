package petratest

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// answer is the good answer to an accepted request, or says what is wrong with
// its parameters.
func (a *API) answer(entry *Request, ignoreTenant bool) answer {
	if entry.Route == RouteTenants {
		return rendered(renderTenants(a.org.Tenants()))
	}
	p, problem := parseParameters(entry)
	if problem != "" {
		return refuse(http.StatusBadRequest, problem)
	}
	if entry.TenantID != "" && !ignoreTenant {
		id, known := a.org.resolve(entry.TenantID)
		if !known {
			if a.unknownTenant == http.StatusOK {
				return jsonAnswer(http.StatusOK, `{"incidents":[]}`)
			}
			return refuse(a.unknownTenant, "no such tenant")
		}
		p.tenantID = id
	}
	return rendered(renderIncidents(a.org.list(time.Now(), p.tenantID, p.since, p.limit)))
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

func jsonAnswer(status int, body string) answer {
	return answer{status, http.Header{"Content-Type": {"application/json"}}, []byte(body)}
}

// refuse answers with an error. The real one's shape is not documented.
func refuse(status int, message string) answer {
	body, _ := json.Marshal(map[string]any{"error": message, "statusCode": status})
	return jsonAnswer(status, string(body))
}

func rendered(body []byte, err error) answer {
	if err != nil {
		return refuse(http.StatusInternalServerError, err.Error())
	}
	return jsonAnswer(http.StatusOK, string(body))
}

// send answers, compressed if the client takes it.
func (a *API) send(w http.ResponseWriter, r *http.Request, entry *Request, ans answer) {
	ans.header.Set("Vary", "Accept-Encoding")
	if !acceptsGzip(r) {
		ans.header.Set("Content-Length", strconv.Itoa(len(ans.body)))
		a.writeHeader(w, entry, ans)
		_, _ = w.Write(ans.body)
		return
	}
	ans.header.Set("Content-Encoding", "gzip")
	a.writeHeader(w, entry, ans)
	z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // fails for a bad level only
	_, _ = z.Write(ans.body)
	_ = z.Close()
}

// writeHeader logs the status first: who has read the answer finds it there.
func (a *API) writeHeader(w http.ResponseWriter, entry *Request, ans answer) {
	a.mu.Lock()
	entry.Status = ans.status
	a.mu.Unlock()
	maps.Copy(w.Header(), ans.header)
	w.WriteHeader(ans.status)
}

func acceptsGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";")
		if name == "gzip" && q != "q=0" {
			return true
		}
	}
	return false
}

// sleep waits for d; it reports false as soon as ctx ends.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
