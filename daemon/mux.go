package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Mux routes the requests of a small API, by net/http alone. It answers panics
// with 500 and logs them, and says in JSON what it has not got. Routes are
// added before it serves.
type Mux struct {
	log    *slog.Logger
	mux    *http.ServeMux
	routes map[string]map[string]http.HandlerFunc // by pattern and method
	before []func(w http.ResponseWriter, r *http.Request) bool
}

// NewMux makes one without routes.
func NewMux(log *slog.Logger) *Mux {
	m := &Mux{log: log, mux: http.NewServeMux(), routes: map[string]map[string]http.HandlerFunc{}}
	m.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		Refuse(w, http.StatusNotFound, "there is no %s", r.URL.Path)
	})
	return m
}

// Before adds a check that comes before every route, also before those that are
// not there. It reports whether to go on; else it has answered.
func (m *Mux) Before(check func(w http.ResponseWriter, r *http.Request) (goOn bool)) {
	m.before = append(m.before, check)
}

// Handle adds a route. The pattern is a path of http.ServeMux's syntax, such as
// /v1/adaptors/{name}.
func (m *Mux) Handle(method, pattern string, f http.HandlerFunc) {
	methods := m.routes[pattern]
	if methods == nil {
		methods = map[string]http.HandlerFunc{}
		m.routes[pattern] = methods
		m.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			f := methods[r.Method]
			if f == nil && r.Method == http.MethodHead { // net/http leaves the body out (RFC 9110, section 9.3.2)
				f = methods[http.MethodGet]
			}
			if f != nil {
				f(w, r)
				return
			}
			w.Header().Set("Allow", strings.Join(slices.Sorted(maps.Keys(methods)), ", "))
			Refuse(w, http.StatusMethodNotAllowed, "%s does not take %s", r.URL.Path, r.Method)
		})
	}
	methods[method] = f
}

// Routes returns the methods of each pattern.
func (m *Mux) Routes() map[string][]string {
	out := map[string][]string{}
	for pattern, methods := range m.routes {
		out[pattern] = slices.Sorted(maps.Keys(methods))
	}
	return out
}

// ServeHTTP implements http.Handler.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(cause)
		}
		m.log.Error("a request failed by our own bug", "path", r.URL.Path, "panic", fmt.Sprint(cause))
		Refuse(w, http.StatusInternalServerError, "internal error")
	}()
	for _, goOn := range m.before {
		if !goOn(w, r) {
			return
		}
	}
	m.mux.ServeHTTP(w, r)
}

// Reply answers with v in JSON.
func Reply(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode an answer: %v", err)) // our own types
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever asked may be gone
}

// Refuse answers with {"error": message}.
func Refuse(w http.ResponseWriter, status int, format string, args ...any) {
	Reply(w, status, map[string]string{"error": fmt.Sprintf(format, args...)})
}
