package kube

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// server answers as a kubelet and an API server do.
type server struct {
	*httptest.Server
	t     *testing.T
	token string
	pods  atomic.Pointer[[]any]
	asked atomic.Int64
	how   atomic.Pointer[http.HandlerFunc] // instead
	ca    string
}

func newServer(t *testing.T) *server {
	s := &server{t: t, token: "secret"}
	s.set()
	s.Server = httptest.NewTLSServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	s.ca = filepath.Join(t.TempDir(), "ca.crt")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(s.ca, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	if how := s.how.Load(); how != nil {
		(*how)(w, r)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+s.token {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"kind":"Status","status":"Failure","message":"Unauthorized","code":401}`))
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"kind": "PodList", "apiVersion": "v1", "metadata": map[string]any{"resourceVersion": "7"}, "items": *s.pods.Load(),
	})
}

type object = map[string]any

func (s *server) set(pods ...any) { s.pods.Store(&pods) }

func pod(uid string, labels object, more object) object {
	meta := object{"name": "p-" + uid, "namespace": "ns", "uid": uid, "labels": labels, "managedFields": []any{object{"f:x": object{}}}}
	for k, v := range more {
		meta[k] = v
	}
	return object{"metadata": meta, "spec": object{"nodeName": "node-1", "containers": []any{object{"name": "c"}}}, "status": object{"phase": "Running"}}
}

func (s *server) source(change func(c *Config)) *Source {
	s.t.Helper()
	token := filepath.Join(s.t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(s.token+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	all := func(string) bool { return true }
	c := Config{
		URL: s.URL + "/pods", TokenFile: token, CAFile: s.ca, Refresh: time.Hour, Timeout: 10 * time.Second,
		Cache: 100, MaxAnswer: 1 << 20, WantedLabel: all, WantedAnnotation: all,
	}
	if change != nil {
		change(&c)
	}
	src := New(c, slog.New(slog.DiscardHandler))
	src.soonest = 20 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		src.Run(ctx)
	}()
	s.t.Cleanup(func() {
		cancel()
		<-done
	})
	return src
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal(what)
		}
	}
}

func known(t *testing.T, s *Source, uid string) Pod {
	t.Helper()
	var p Pod
	until(t, "pod "+uid+" is not known: "+s.Trouble(), func() bool {
		var state State
		p, state = s.Lookup(uid)
		return state == Known
	})
	return p
}

func TestPodsAreKnownByTheUIDOfTheirLogs(t *testing.T) {
	s := newServer(t)
	s.set(
		pod("u1", object{"app": "web", "pod-template-hash": "5d8f7c"}, object{"ownerReferences": []any{
			object{"kind": "Other", "name": "x"}, object{"kind": "ReplicaSet", "name": "web-5d8f7c", "controller": true},
		}}),
		pod("u2", object{"app": "db"}, object{"ownerReferences": []any{object{"kind": "StatefulSet", "name": "db", "controller": true}}}),
		pod("mirror", nil, object{"annotations": object{"kubernetes.io/config.hash": "abc", "kubernetes.io/config.mirror": "abc", "note": "x"}}),
	)
	src := s.source(nil)
	if p := known(t, src, "u1"); p.Owner != "Deployment/web" || p.Node != "node-1" || p.Labels["app"] != "web" {
		t.Errorf("got %+v", p)
	}
	if p := known(t, src, "u2"); p.Owner != "StatefulSet/db" {
		t.Errorf("got %+v", p)
	}
	if p := known(t, src, "abc"); p.Annotations["note"] != "x" {
		t.Errorf("a static pod: got %+v", p)
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

func TestUnknownPodIsAskedFor(t *testing.T) {
	s := newServer(t)
	src := s.source(nil)
	until(t, "the pod is not told as missing", func() bool { _, state := src.Lookup("late"); return state == Missing })
	s.set(pod("late", object{"a": "b"}, nil))
	src.Lookup("other") // has it asked again, at once
	known(t, src, "late")
}

func TestTroubleIsSaidAndPasses(t *testing.T) {
	for name, tt := range map[string]struct {
		how  http.HandlerFunc
		want string
	}{
		"401":     {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "Unauthorized", http.StatusUnauthorized) }, "401 Unauthorized"},
		"no JSON": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "read the list of pods"},
		"slow":    {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "deadline exceeded"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://example.org/", http.StatusFound)
		}, "302"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"items":[`)) }, "read the list of pods"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.how.Store(&tt.how)
			src := s.source(func(c *Config) { c.Timeout = 300 * time.Millisecond })
			until(t, "no trouble is said", func() bool { return src.Trouble() != "" })
			if got := src.Trouble(); !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want it to hold %q", got, tt.want)
			}
			if _, state := src.Lookup("u1"); state == Known {
				t.Error("a pod is known")
			}
			s.set(pod("u1", nil, nil))
			s.how.Store(nil)
			known(t, src, "u1")
			if got := src.Trouble(); got != "" {
				t.Errorf("it is still said: %q", got)
			}
		})
	}
}

func TestServerThatIsAwayIsTrouble(t *testing.T) {
	s := newServer(t)
	s.Close()
	src := s.source(nil)
	until(t, "no trouble is said", func() bool { return strings.Contains(src.Trouble(), "refused") })
}

func TestUntrustedServerGetsNoToken(t *testing.T) {
	s := newServer(t)
	src := s.source(func(c *Config) { c.CAFile = "" })
	until(t, "no trouble is said", func() bool { return strings.Contains(src.Trouble(), "certificate") })
	if n := s.asked.Load(); n != 0 {
		t.Errorf("the server was asked %d times", n)
	}
	src = s.source(func(c *Config) { c.CAFile, c.SkipVerify = "", true })
	s.set(pod("u1", nil, nil))
	known(t, src, "u1")
}

func TestRenewedTokenIsUsed(t *testing.T) {
	s := newServer(t)
	var file string
	src := s.source(func(c *Config) { file = c.TokenFile })
	s.set(pod("u1", nil, nil))
	until(t, "nothing was asked", func() bool { return s.asked.Load() > 0 && src.Trouble() == "" })
	if err := os.WriteFile(file, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	src.Lookup("x")
	until(t, "the old token is used", func() bool { return strings.Contains(src.Trouble(), "401") })
	if err := os.WriteFile(file, []byte(s.token), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the new token is not used", func() bool { return src.Trouble() == "" })
}

func TestHugeAnswerIsBounded(t *testing.T) {
	s := newServer(t)
	var all []any
	for i := range 3000 {
		all = append(all, pod(fmt.Sprintf("u%d", i), object{"big": strings.Repeat("x", 1000)}, nil))
	}
	s.set(all...)
	src := s.source(nil)
	known(t, src, "u1") // what came before the bound is known
	if got := src.Trouble(); !strings.Contains(got, "max_answer") {
		t.Errorf("got %q, want it to name max_answer", got)
	}
	src.mu.Lock()
	defer src.mu.Unlock()
	if len(src.pods) != 100 || src.lru.Len() != 100 {
		t.Errorf("%d pods are kept, want 100", len(src.pods))
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"items":[{"metadata":{"uid":"a","labels":{"b":"c"}}}]}`)
	f.Add(`{"items":null,"x":[1]}`)
	f.Add(`[]`)
	f.Fuzz(func(_ *testing.T, text string) {
		all := func(string) bool { return true }
		c := client{cfg: Config{Cache: 10, WantedLabel: all, WantedAnnotation: all}}
		_, _ = c.decode(strings.NewReader(text)) // it gives an error or pods
	})
}
