package petratest

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

// fail answers a request in the way of a fault.
func (a *API) fail(w http.ResponseWriter, r *http.Request, entry *Request, f *Fault) {
	if status, ok := faultStatus[f.Kind]; ok {
		ans := refuse(status, "made to fail")
		if f.Body != "" {
			ans.body = []byte(f.Body)
		}
		if f.RetryHeader != "" {
			ans.header.Set(f.RetryHeader, f.RetryValue)
		}
		a.send(w, r, entry, ans)
		return
	}
	switch f.Kind {
	case Cut:
		a.cut(w, entry, a.answer(entry, false))
	case Slow:
		a.trickle(w, r, entry, a.answer(entry, false), cmp.Or(f.Delay, time.Second))
	case Huge, GzipBomb:
		a.huge(w, entry, a.answer(entry, false), cmp.Or(f.Size, 33<<20), f.Kind == GzipBomb)
	case HTML:
		ans := jsonAnswer(http.StatusOK, cmp.Or(f.Body, "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><h1>Sign in</h1></body></html>\n"))
		ans.header.Set("Content-Type", "text/html; charset=utf-8")
		a.send(w, r, entry, ans)
	case BadJSON:
		a.send(w, r, entry, jsonAnswer(http.StatusOK, cmp.Or(f.Body, `{"incidents": [{"id": "48f3708e-45c1`)))
	case NullList, EmptyList:
		list := "null"
		if f.Kind == EmptyList {
			list = "[]"
		}
		body := `{"incidents": ` + list + `}`
		if entry.Route == RouteTenants {
			body = `{"totalTenants": 0, "tenants": ` + list + `}`
		}
		a.send(w, r, entry, jsonAnswer(http.StatusOK, body))
	case IgnoredFilter:
		a.send(w, r, entry, a.answer(entry, true))
	case Damaged:
		ans := a.answer(entry, false)
		if ans.status == http.StatusOK {
			ans = rendered(damaged(ans.body, f))
		}
		a.send(w, r, entry, ans)
	case Redirect:
		ans := refuse(http.StatusFound, "moved")
		ans.header.Set("Location", cmp.Or(f.Location, "https://elsewhere.invalid"+r.URL.Path))
		a.send(w, r, entry, ans)
	case Hang:
		<-r.Context().Done()
	case EchoKey:
		a.send(w, r, entry, refuse(http.StatusInternalServerError, "cannot handle Authorization: "+r.Header.Get("Authorization")))
	case Reset:
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
	default:
		a.send(w, r, entry, refuse(http.StatusInternalServerError, "no such fault: "+string(f.Kind)))
	}
}

// damaged changes the list in a good answer.
func damaged(body []byte, f *Fault) ([]byte, error) {
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil {
		return nil, err
	}
	for name, value := range object {
		list, isList := value.([]any)
		if !isList {
			continue
		}
		if f.DamageList != nil {
			object[name] = f.DamageList(list)
			continue
		}
		for n, element := range list {
			object := element.(map[string]any)
			if f.Damage != nil {
				list[n] = f.Damage(n, object)
				continue
			}
			delete(object, "id")
			delete(object, "petraTenantId")
		}
	}
	return json.Marshal(object)
}

// cut promises the whole body and sends half of it; net/http then closes the
// connection.
func (a *API) cut(w http.ResponseWriter, entry *Request, ans answer) {
	ans.header.Set("Content-Length", strconv.Itoa(len(ans.body)))
	a.writeHeader(w, entry, ans)
	_, _ = w.Write(ans.body[:len(ans.body)/2])
}

func (a *API) trickle(w http.ResponseWriter, r *http.Request, entry *Request, ans answer, delay time.Duration) {
	ans.header.Set("Content-Length", strconv.Itoa(len(ans.body)))
	a.writeHeader(w, entry, ans)
	flusher := http.NewResponseController(w)
	for i := range ans.body {
		if _, err := w.Write(ans.body[i : i+1]); err != nil {
			return
		}
		_ = flusher.Flush()
		if !sleep(r.Context(), delay) {
			return
		}
	}
}

// huge puts size bytes of padding into the good answer, before the list, so that
// a client which stops reading too early has nothing.
func (a *API) huge(w http.ResponseWriter, entry *Request, ans answer, size int, bomb bool) {
	if bomb {
		ans.header.Set("Content-Encoding", "gzip")
	}
	a.writeHeader(w, entry, ans)
	var out io.Writer = w
	if bomb {
		z := gzip.NewWriter(w)
		defer z.Close() //nolint:errcheck // the client is gone
		out = z
	}
	if _, err := io.WriteString(out, `{"padding":"`); err != nil {
		return
	}
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	for size > 0 {
		n, err := out.Write(chunk[:min(size, len(chunk))])
		if err != nil {
			return
		}
		size -= n
	}
	if _, err := io.WriteString(out, `",`); err != nil {
		return
	}
	_, _ = out.Write(ans.body[1:])
}
