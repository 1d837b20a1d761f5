package web_test

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/agentd/client"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/query"
	"github.com/akupara/akupara/web"
)

// guarded answers who brings the token, and keeps what else it was sent, one
// request after the other.
func guarded(token string, seen *http.Header) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/healthz":
		case r.Header.Get("Authorization") != "Bearer "+token:
			http.Error(w, `{"error":"no token"}`, http.StatusUnauthorized)
		default:
			*seen = r.Header.Clone()
		}
	})
}

func tempFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAgentsOnHTTPSAndSocketsAreReachedWithTheWebPartsToken(t *testing.T) {
	var seen http.Header
	secure := httptest.NewTLSServer(guarded("s3cret", &seen))
	t.Cleanup(secure.Close)
	socket := filepath.Join(t.TempDir(), "agent.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	local := &httptest.Server{Listener: l, Config: &http.Server{Handler: guarded("s3cret", &seen)}}
	local.Start()
	t.Cleanup(local.Close)
	ca := tempFile(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	token := tempFile(t, "token", "s3cret\n")
	s := open(t, query.Options{}, func(c *web.Config) {
		c.Agents = []web.Agent{
			{Host: "secure", URL: client.Address(secure.URL), CA: ca, TokenFile: token},
			{Host: "untrusted", URL: client.Address(secure.URL), TokenFile: token},
			{Host: "socket", URL: client.Address("unix:" + socket), TokenFile: token},
			{Host: "tokenless", URL: client.Address("unix:" + socket)},
		}
	})
	for _, host := range []string{"secure", "socket"} {
		seen = nil
		s.want(s.do("PUT", "/v1/agents/"+host+"/switches/x", "{}", "Authorization", "Bearer mine", "Cookie", "a=b"), 200, "")
		if seen == nil || seen.Get("Cookie") != "" {
			t.Errorf("%s: the agent saw the headers %v, want the web part's token and no cookie", host, seen)
		}
	}
	s.want(s.do("GET", "/v1/agents/untrusted/adaptors", ""), 503, "not trusted")
	s.want(s.do("GET", "/v1/agents/tokenless/adaptors", ""), 401, "no token")
	r := s.do("GET", "/v1/agents", "")
	s.want(r, 200, `{"host":"secure","url":"`+secure.URL+`","alive":true}`)
	s.want(r, 200, `{"host":"socket","url":"unix:`+socket+`","alive":true}`)
	if strings.Contains(r.body, "s3cret") || strings.Contains(r.body, token) {
		t.Errorf("the list of agents tells a token or its file: %s", r.body)
	}
}

func TestAgentsThatCanNotBeReachedSafelyAreRefused(t *testing.T) {
	for yaml, want := range map[string]string{
		"{host: a, url: 'ftp://x'}":                       "unix:/PATH",
		"{host: a, url: 'http://127.0.0.1:1', ca: /x}":    "https://",
		"{host: a, url: 'https://x', cert: /x}":           "go together",
		"{host: a, url: 'unix:relative'}":                 "absolute",
		"{host: a, url: 'https://x', ca: /x, token: abc}": "not known",
	} {
		root, problems := config.Parse("x.yaml", []byte("agents: ["+yaml+"]"))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		cfg := web.DefaultConfig()
		if got := config.Decode(root, &cfg).Error(); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q in it", yaml, got, want)
		}
	}
}
