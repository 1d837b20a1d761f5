package daemon

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Health reports whether a daemon can take work. It is safe for concurrent use.
type Health struct {
	mu      sync.Mutex
	stopped bool
	checks  []check
}

type check struct {
	name  string
	ready func() error
}

// NewHealth is ready until a check says otherwise.
func NewHealth() *Health { return &Health{} }

// AddCheck adds a condition of being ready. ready must answer at once, and is
// called from several goroutines.
func (h *Health) AddCheck(name string, ready func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, check{name, ready})
}

// Stop makes the daemon unready for good: it is about to end.
func (h *Health) Stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
}

// Ready is nil, or says why no work is taken.
func (h *Health) Ready() error {
	h.mu.Lock()
	stopped, checks := h.stopped, h.checks
	h.mu.Unlock()
	if stopped {
		return errors.New("stopping")
	}
	for _, c := range checks {
		if err := c.ready(); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// NewRegistry is a metrics registry with those of the process and of Go.
func NewRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// BuildInfo is a metric that tells which version runs.
func BuildInfo(version string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "akupara", Name: "build_info", Help: "1; which version of the program runs, and which Go made it.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
}

// OpsHandlers are what every daemon serves, by path, for GET: /healthz (200
// while the process runs), /readyz (503 with the reason while it can't take
// work) and /metrics.
func OpsHandlers(metrics prometheus.Gatherer, h *Health) map[string]http.Handler {
	return map[string]http.Handler{
		"/healthz": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }),
		"/readyz": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if err := h.Ready(); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			fmt.Fprintln(w, "ok")
		}),
		"/metrics": promhttp.HandlerFor(metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 8}),
	}
}

// NewLogger logs to w as "text" or "json", from level up.
func NewLogger(w io.Writer, format string, level slog.Level) (*slog.Logger, error) {
	opts := &slog.HandlerOptions{Level: level}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, fmt.Errorf("log format %q is not known; allowed: text, json", format)
}
