package agentd_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/all"
	"github.com/akupara/akupara/agentd"
	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

func TestAnOpenAddressIsRefusedWithWhatToDo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"listen: 0.0.0.0:9771":                                              "tls.cert",
		"listen: ':9771'":                                                   "tls.cert",
		"listen: '[::]:9771'":                                               "tls.cert",
		"listen: node7:9771\ntls: {cert: /c, key: /k}":                      "token_file",
		"listen: node7:9771\ntoken_file: /t":                                "tls.cert",
		"listen: node7:9771\ntls: {cert: /c, key: /k}\ntoken_file: /t":      "",
		"listen: node7:9771\ntls: {cert: /c, key: /k, client_ca: /a}":       "",
		"listen: 127.0.0.1:9771\ntls: {cert: /c}":                           "tls.key",
		"listen: unix:/run/akupara/agent.sock":                              "",
		"allow_paths: [var/log]":                                            "absolute path",
		"allow_paths: ['/var/log/*']":                                       "absolute path",
		"allow_commands: [bin/df]":                                          "absolute path",
		"allow_commands: [/bin/../bin/df]":                                  "absolute path",
		"allow_listen: [514]":                                               "host:port",
		"allow_urls: [example.org]":                                         "beginning of URLs",
		"hosts: ['node7:9771']":                                             "plain name",
		"allow_paths: [/var/log]\nallow_listen: ['*:514', '0.0.0.0:*']":     "",
		"allow_commands: [df, /bin/df]\nallow_urls: ['tcp://db:5432']":      "",
		"allow_urls: ['https://me:hush@x/']":                                "beginning of URLs",
		"hosts: [node7.example.org]\nallow_urls: ['https://x.example/api']": "",
	} {
		n, problems := config.Parse("test", []byte("collectors: [http://127.0.0.1:1]\n"+text))
		_, more := agentd.Decode(n, all.Kinds())
		err := append(problems, more...).Err()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", text, err, want)
		}
	}
}

// certificate makes a self-signed certificate of an agent.
func certificate(t *testing.T, dir string) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "agent"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"agent.example.org"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	cert, key, pool = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	write(t, cert, string(certPEM))
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	return cert, key, pool
}

func TestAnOpenAddressIsServedWithTLSAndAToken(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	cert, key, pool := certificate(t, dir)
	const token = "a-token-of-more-than-sixteen-bytes"
	write(t, filepath.Join(dir, "token"), token+"\n")
	cfg := decode(t, fmt.Sprintf("tls: {cert: %s, key: %s}\ntoken_file: %s\n", cert, key, filepath.Join(dir, "token")), c.URL)
	cfg.Listen = "0.0.0.0:0"
	a := startWith(t, cfg, agentd.Deps{Dir: filepath.Join(dir, "agent")})
	_, port, err := net.SplitHostPort(strings.TrimPrefix(a.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(tr.CloseIdleConnections)
	client := &http.Client{Transport: tr}
	get := func(scheme, path, auth string) int {
		req, err := http.NewRequest(http.MethodGet, scheme+"://127.0.0.1:"+port+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if auth != "" {
			req.Header.Set("Authorization", auth)
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	for _, test := range []struct {
		scheme, path, auth string
		want               int
	}{
		{"https", "/v1/adaptors", "Bearer " + token, 200},
		{"https", "/v1/adaptors", "", 401},
		{"https", "/v1/adaptors", "Bearer wrong", 401},
		{"https", "/metrics", "", 401},
		{"https", "/v1/openapi.yaml", "", 401},
		{"https", "/healthz", "", 200},
		{"http", "/v1/adaptors", "Bearer " + token, 400},
	} {
		if got := get(test.scheme, test.path, test.auth); got != test.want {
			t.Errorf("%s %s with %q: status %d, want %d", test.scheme, test.path, test.auth, got, test.want)
		}
	}
}

func TestTheSocketIsForItsOwnerAndGroup(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	cfg := decode(t, "", c.URL)
	socket := filepath.Join(dir, "a.sock")
	cfg.Listen = config.Addr("unix:" + socket)
	startWith(t, cfg, agentd.Deps{Dir: filepath.Join(dir, "agent")})
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v, want 0660", info.Mode(), err)
	}
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	resp, err := (&http.Client{Transport: tr}).Get("http://agent/v1/adaptors")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("over the socket: %v, %v", resp, err)
	}
	resp.Body.Close()
}

// Pages of other sites reach no route with no method.
func TestOtherSitesAreRefusedEverywhere(t *testing.T) {
	t.Parallel()
	a := start(t, t.TempDir(), "", collectortest.New(t, "a").URL)
	for _, route := range append(agentd.Routes(), "GET /none", "PATCH /v1/adaptors", "OPTIONS /v1/adaptors", "TRACE /v1/config") {
		method, path, _ := strings.Cut(route, " ")
		path = strings.ReplaceAll(path, "{name}", "x")
		for _, header := range [][]string{
			{"Origin", "http://evil.example"}, {"Origin", "null"}, {"Host", "evil.example"},
			{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
			{"Host", "evil.example", "Origin", "http://evil.example"},
			{"Host", strings.TrimPrefix(a.url, "http://127.0.0.1") + ".evil.example"},
		} {
			if status, body := a.do(method, path, "", header...); status != http.StatusForbidden {
				t.Errorf("%s %s with %q: status %d, want 403: %.200s", method, path, header, status, body)
			}
		}
	}
}

func TestWhatIsAddedOverRESTReachesOnlyWhatIsAllowed(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	logs := filepath.Join(dir, "logs")
	for _, d := range []string{logs, filepath.Join(dir, "secret"), filepath.Join(dir, "logs-not")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(dir, "secret", "a.log")
	write(t, secret, "secret\n")
	for link, target := range map[string]string{"out": filepath.Join(dir, "secret"), "file.log": secret} {
		if err := os.Symlink(target, filepath.Join(logs, link)); err != nil {
			t.Fatal(err)
		}
	}
	a := start(t, filepath.Join(dir, "agent"), fmt.Sprintf("allow_paths: [%s]\nallow_commands: [echo, /bin/echo]\nadaptors:\n - {name: own, kind: tail, type: own, paths: [%s]}\n - {name: prog, kind: command, type: p, command: [sh, -c, exit], every: 1h}\n", logs, secret), c.URL)
	c.Wait("the config's own", holds(t, "own", "secret\n"))
	n := 0
	try := func(kind, keys string, want int) {
		t.Helper()
		n++
		body := fmt.Sprintf(`{"name": "x%d", "kind": "%s", "type": "%s", %s}`, n, kind, kind, keys)
		if status, answer := a.do("POST", "/v1/adaptors", body); status != want {
			t.Errorf("%s: status %d, want %d: %s", body, status, want, answer)
		}
	}
	tail := func(pattern string, want int) {
		t.Helper()
		try("tail", fmt.Sprintf(`"paths": ["%s"], "rescan": "50ms"`, pattern), want)
	}
	tail(logs+"/*.log", 201)
	tail(logs+"/sub/later/**/*.log", 201)
	tail(logs+"/file.log", 403) // a link that leads outside
	tail(logs+"/out/a.log", 403)
	tail(logs+"/out/*", 403)
	tail(logs+"/../secret/a.log", 403)
	tail(logs+"-not/*", 403)
	tail(logs+"*/a.log", 403)
	tail(secret, 403)
	tail("/etc/shadow", 403)
	tail("/*/a.log", 403)
	tail("relative/a.log", 403)
	try("command", `"command": ["echo", "hi"], "every": "1h"`, 201)
	try("command", `"command": ["/bin/echo", "hi"], "every": "1h"`, 201)
	for _, program := range []string{"/usr/bin/../bin/echo", "//bin/echo", "./echo", "../bin/echo", "/tmp/echo", "sh", "/bin/echo ", "ECHO", ""} {
		status := 403
		if program == "" {
			status = 400
		}
		try("command", `"command": ["`+program+`", "hi"], "every": "1h"`, status)
	}
	// The config's own may be replaced by one that reads the same, and nothing more.
	if status, body := a.do("PUT", "/v1/adaptors/own", `{"name": "own", "kind": "tail", "type": "own", "paths": ["`+secret+`"], "tags": {"a": "b"}}`); status != 200 {
		t.Errorf("replacing the config's own: %d %s", status, body)
	}
	if status, body := a.do("PUT", "/v1/adaptors/own", `{"name": "own", "kind": "tail", "type": "own", "paths": ["`+secret+`", "/etc/passwd"]}`); status != 403 {
		t.Errorf("with more than that: %d, want 403: %s", status, body)
	}

	if status, body := a.do("PUT", "/v1/adaptors/prog", `{"name": "prog", "kind": "command", "type": "p", "command": ["sh", "-c", "id"], "every": "1h"}`); status != 403 {
		t.Errorf("the config's program with other arguments: %d, want 403: %s", status, body)
	}

	if status, body := a.do("PUT", "/v1/adaptors/prog", `{"name": "prog", "kind": "command", "type": "p", "command": ["sh", "-c", "exit"], "every": "1h", "delivery": "best_effort"}`); status != 200 {
		t.Errorf("the config's own with another level: %d, want 200: %s", status, body)
	}

	// A link that is made later leads outside just as little.
	if err := os.Symlink(secret, filepath.Join(logs, "later.log")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(logs, "real.log"), "real\n")
	all := c.Wait("what lies inside", holds(t, "tail", "real\n"))
	a.wait("x1", "saying why not", func(v view) bool { return len(v.Skipped) == 2 })
	for _, g := range append(all, c.Chunks()...) {
		if g.Kind == chunk.Data && g.Type == "tail" && strings.Contains(string(g.Body), "secret") {
			t.Errorf("%s was read through a link", g.Source)
		}
	}
}

// A kind that does not say what it reaches for could not be added over REST.
func TestEveryKindSaysWhatItReachesFor(t *testing.T) {
	t.Parallel()
	for _, k := range all.Kinds() {
		if _, needs := k.NewConfig().(adaptors.Needer); !needs {
			t.Errorf("the config of kind %s has no method Needs: see adaptors.Needer", k.Name)
		}
	}
}

// The default allows nothing.
func TestNothingIsAllowedByDefault(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	write(t, filepath.Join(dir, "a.log"), "a\n")
	a := start(t, filepath.Join(dir, "agent"), "adaptors:\n - {name: own, kind: tail, type: own, paths: ["+dir+"/*.log]}\n", c.URL)
	for body, key := range map[string]string{
		`{"name": "x", "kind": "tail", "type": "x", "paths": ["` + dir + `/a.log"]}`:             "allow_paths",
		`{"name": "x", "kind": "command", "type": "x", "command": ["/bin/true"], "every": "1h"}`: "allow_commands",
		`{"name": "x", "kind": "syslog", "type": "x", "listen": ["udp://0.0.0.0:514"]}`:          "allow_listen",
	} {
		status, answer := a.do("POST", "/v1/adaptors", body)
		if status == 400 && strings.Contains(answer, "is no kind of adaptor") {
			continue
		}
		if status != 403 || !strings.Contains(answer, key) {
			t.Errorf("%s: status %d, want 403 that names %s: %s", body, status, key, answer)
		}
	}
	if status, answer := a.do("POST", "/v1/adaptors", `{"name": "x", "kind": "metrics", "every": "1h"}`); status != 201 {
		t.Errorf("what reaches for nothing: status %d, want 201: %s", status, answer)
	}
}

// What the config's own entry may read, such as a token, is not sent elsewhere
// by one of the same name over REST.
func TestATokenOfTheConfigIsNotSentElsewhere(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	token := filepath.Join(dir, "token")
	write(t, token, "a-token\n")
	a := start(t, filepath.Join(dir, "agent"), "allow_urls: ['http://127.0.0.1:1/']\nadaptors:\n - {name: own, kind: http_poll, type: own, urls: ['http://127.0.0.1:2/'], bearer_file: "+token+", every: 1h}\n", c.URL)
	body := func(url, more string) string {
		return `{"name": "own", "kind": "http_poll", "type": "own", "urls": ["` + url + `"], "bearer_file": "` + token + `", "every": "1h"` + more + `}`
	}
	if status, answer := a.do("PUT", "/v1/adaptors/own", body("http://127.0.0.1:1/", "")); status != 403 {
		t.Errorf("to another server: status %d, want 403: %s", status, answer)
	}
	if status, answer := a.do("PUT", "/v1/adaptors/own", body("http://127.0.0.1:2/", `, "delivery": "best_effort"`)); status != 200 {
		t.Errorf("with another level: status %d, want 200: %s", status, answer)
	}
}

func TestAdaptorsThatAreAddedOverRESTAreBoundedInNumber(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	a := start(t, filepath.Join(dir, "agent"), "allow_paths: ["+dir+"]\n", c.URL)
	add := func(i int) (int, string) {
		return a.do("POST", "/v1/adaptors", fmt.Sprintf(`{"name": "x%d", "kind": "tail", "type": "x", "paths": ["%s/none"], "watch": "poll"}`, i, dir))
	}
	for i := range 256 {
		if status, answer := add(i); status != 201 {
			t.Fatalf("adaptor %d: status %d, want 201: %s", i, status, answer)
		}
	}
	if status, answer := add(256); status != 409 || !strings.Contains(answer, "256") {
		t.Errorf("one more: status %d, want 409 that tells the bound: %s", status, answer)
	}
	if status, answer := a.do("DELETE", "/v1/adaptors/x0", ""); status != 204 {
		t.Fatalf("remove one: %d %s", status, answer)
	}
	if status, answer := add(256); status != 201 {
		t.Errorf("in its place: status %d, want 201: %s", status, answer)
	}
}
