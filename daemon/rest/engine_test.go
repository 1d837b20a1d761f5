package rest_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/daemon/rest"
	"github.com/gin-gonic/gin"
)

func TestEngineAnswersInJSONWhatItHasNotAndGuards(t *testing.T) {
	var log bytes.Buffer
	health := daemon.NewHealth()
	health.AddCheck("spool", func() error { return errors.New("the disk is full") })
	e := rest.NewEngine(slog.New(slog.NewTextHandler(&log, nil)))
	e.Use(rest.Guard("node7.example.org"))
	rest.Ops(e, daemon.NewRegistry(), health)
	e.GET("/bug", func(*gin.Context) { panic("our bug") })
	for _, c := range []struct {
		method, path, host string
		code               int
		body               string
	}{
		{"GET", "/healthz", "node7.example.org", 200, "ok"},
		{"GET", "/readyz", "localhost", 503, "spool: the disk is full"},
		{"GET", "/metrics", "127.0.0.1", 200, "go_goroutines"},
		{"GET", "/nothing", "localhost", 404, `{"error":"there is no /nothing"}`},
		{"POST", "/healthz", "localhost", 405, `{"error":"/healthz does not take POST"}`},
		{"GET", "/bug", "localhost", 500, `{"error":"internal error"}`},
		{"GET", "/healthz", "evil.example", 403, "is not this server's"},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Host = c.host
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%s %s of %s: got %d %.200q, want %d %q", c.method, c.path, c.host, w.Code, w.Body, c.code, c.body)
		}
	}
	if !strings.Contains(log.String(), "our bug") {
		t.Errorf("the log is %q, want the cause of the panic", log.String())
	}
}
