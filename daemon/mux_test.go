package daemon

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func ops(m *Mux, metrics prometheus.Gatherer, h *Health) {
	for path, handler := range OpsHandlers(metrics, h) {
		m.Handle(http.MethodGet, path, handler.ServeHTTP)
	}
}

func nobody() []string { return nil }

func TestMuxRoutesByPathAndMethod(t *testing.T) {
	m := NewMux(quiet)
	m.Handle("GET", "/v1/things/{name}", func(w http.ResponseWriter, r *http.Request) { Reply(w, 200, r.PathValue("name")) })
	m.Handle("DELETE", "/v1/things/{name}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for _, c := range []struct {
		method, path string
		code         int
		body         string
	}{
		{"GET", "/v1/things/a.b", 200, `"a.b"`},
		{"DELETE", "/v1/things/a", 204, ""},
		{"HEAD", "/v1/things/a.b", 200, `"a.b"`}, // the server leaves the body out
		{"PUT", "/v1/things/a", 405, `{"error":"/v1/things/a does not take PUT"}`},
		{"GET", "/v1/things", 404, `{"error":"there is no /v1/things"}`},
		{"GET", "/v1/things/a/b", 404, `{"error":"there is no /v1/things/a/b"}`},
	} {
		w := httptest.NewRecorder()
		m.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.code || w.Body.String() != c.body {
			t.Errorf("%s %s: got %d %q, want %d %q", c.method, c.path, w.Code, w.Body, c.code, c.body)
		}
	}
}
