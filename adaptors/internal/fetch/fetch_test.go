package fetch

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/config"
)

func open(t *testing.T, change func(*Config)) *Client {
	t.Helper()
	cfg := DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestHeadersAndSecretsAreSent(t *testing.T) {
	var got *http.Request
	var body []byte
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, "short and stout")
	})
	token := file(t, "s3cret\n")
	c := open(t, func(c *Config) {
		c.Headers = map[string]string{"x-tenant": "a", "Host": "other.example"}
		c.BearerFile = token
	})
	a, err := c.Do(context.Background(), Request{Method: "POST", URL: s.URL + "/p?q=1", Body: []byte("hello")})
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != http.StatusTeapot || string(a.Body) != "short and stout" {
		t.Errorf("got %d %q, want 418 and its body", a.Status, a.Body)
	}
	if got.Header.Get("X-Tenant") != "a" || got.Host != "other.example" || got.Header.Get("Authorization") != "Bearer s3cret" || string(body) != "hello" || got.URL.RawQuery != "q=1" {
		t.Errorf("the server got %v %v %v %q", got.Host, got.URL, got.Header, body)
	}

	// A token that is renewed is taken at once.
	if err := os.WriteFile(token, []byte("newer"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(context.Background(), Request{URL: s.URL}); err != nil || got.Header.Get("Authorization") != "Bearer newer" {
		t.Errorf("got %v and %q, want the new token", err, got.Header.Get("Authorization"))
	}

	c = open(t, func(c *Config) { c.Basic = &Basic{User: "u", PasswordFile: file(t, "p:w")} })
	if _, err := c.Do(context.Background(), Request{URL: s.URL}); err != nil {
		t.Fatal(err)
	}
	if user, password, _ := got.BasicAuth(); user != "u" || password != "p:w" {
		t.Errorf("the server got %q and %q, want u and p:w", user, password)
	}
}

func TestSecretThatIsNoneIsAnErrorThatDoesNotTellIt(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") })
	for name, path := range map[string]string{
		"missing":   filepath.Join(t.TempDir(), "none"),
		"empty":     file(t, "\n"),
		"two lines": file(t, "topsecret\nline"),
		"long":      file(t, strings.Repeat("topsecret", 4000)),
		"folder":    t.TempDir(),
		"device":    "/dev/zero",
	} {
		_, err := open(t, func(c *Config) { c.BearerFile = path }).Do(context.Background(), Request{URL: s.URL})
		if err == nil || !strings.Contains(err.Error(), "bearer_file") || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: got %v, want an error about bearer_file without its content", name, err)
		}
	}
}

func TestBodiesAreBoundedAlsoCompressedOnes(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		size := 1024
		if r.URL.Path == "/long" {
			size = 1 << 20
		}
		if r.URL.RawQuery == "gzip" {
			if r.Header.Get("Accept-Encoding") != "gzip" {
				t.Errorf("Accept-Encoding is %q, want gzip", r.Header.Get("Accept-Encoding"))
			}
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(make([]byte, size))
			_ = z.Close()
			return
		}
		_, _ = w.Write(make([]byte, size))
	})
	c := open(t, func(c *Config) { c.MaxBody = 1024 })
	for path, want := range map[string]bool{"/": true, "/?gzip": true, "/long": false, "/long?gzip": false} {
		a, err := c.Do(context.Background(), Request{URL: s.URL + path})
		if want && (err != nil || !bytes.Equal(a.Body, make([]byte, 1024))) {
			t.Errorf("%s: %v, want 1024 bytes", path, err)
		}
		if long := new(TooLong); !want && !errors.As(err, &long) {
			t.Errorf("%s: got %v, want an error that the answer is too long", path, err)
		}
		if a, err := c.Do(context.Background(), Request{URL: s.URL + path, Truncate: true}); err != nil || len(a.Body) != 1024 {
			t.Errorf("%s: %v, want the first 1024 bytes", path, err)
		}
	}
}

func TestServerThatHangsIsGivenUp(t *testing.T) {
	free := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
		}
		<-free
	})
	defer close(free)
	c := open(t, func(c *Config) { c.Timeout = config.Duration(50 * time.Millisecond) })
	for _, path := range []string{"/", "/body"} {
		_, err := c.Do(context.Background(), Request{URL: s.URL + path + "?token=secret"})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want an error without the query", path, err)
		}
	}
}

func TestOnlyRedirectionsWithinAServerAreFollowed(t *testing.T) {
	other := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the other server was asked") })
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/within":
			http.Redirect(w, r, "/end", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/out":
			http.Redirect(w, r, other.URL+"/x?secret", http.StatusFound)
		default:
			fmt.Fprint(w, "end")
		}
	})
	c := open(t, nil)
	if a, err := c.Do(context.Background(), Request{URL: s.URL + "/within"}); err != nil || string(a.Body) != "end" {
		t.Errorf("within the server: %v, want its end", err)
	}
	if a, err := c.Do(context.Background(), Request{URL: s.URL + "/within", NoRedirects: true}); err != nil || a.Status != http.StatusFound {
		t.Errorf("without redirections: %v, want status 302", err)
	}
	if _, err := c.Do(context.Background(), Request{URL: s.URL + "/round"}); err == nil || !strings.Contains(err.Error(), "more than 5") {
		t.Errorf("in a circle: got %v, want an error", err)
	}
	if _, err := c.Do(context.Background(), Request{URL: s.URL + "/out"}); err == nil || !strings.Contains(err.Error(), "another server") || strings.Contains(err.Error(), "secret") {
		t.Errorf("to another server: got %v, want an error", err)
	}
}

func TestServersAndClientsCertificatesAreChecked(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, len(r.TLS.PeerCertificates))
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.Config.ErrorLog = nil
	s.StartTLS()
	defer s.Close()
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	ca := file(t, string(certPEM))
	ask := func(change func(*Config)) (string, error) {
		a, err := open(t, change).Do(context.Background(), Request{URL: s.URL})
		if err != nil {
			return "", err
		}
		return string(a.Body), nil
	}
	if _, err := ask(nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: got %v, want an error", err)
	}
	if got, err := ask(func(c *Config) { c.TLS.CA = ca }); err != nil || got != "0" {
		t.Errorf("a known one: %q, %v", got, err)
	}
	if got, err := ask(func(c *Config) { c.TLS.Insecure = true }); err != nil || got != "0" {
		t.Errorf("insecure: %q, %v", got, err)
	}
	if _, err := ask(func(c *Config) { c.TLS.CA, c.TLS.ServerName = ca, "else.invalid" }); err == nil {
		t.Error("a server of another name was taken")
	}
	cert, key := keyPair(t)
	if got, err := ask(func(c *Config) { c.TLS.CA, c.TLS.Cert, c.TLS.Key = ca, cert, key }); err != nil || got != "1" {
		t.Errorf("with a certificate of its own: %q, %v; want that the server saw it", got, err)
	}
	if _, err := ask(func(c *Config) { c.TLS.CA, c.TLS.Cert, c.TLS.Key = ca, cert, ca }); err == nil {
		t.Error("a key that is none was taken")
	}
	for name, bad := range map[string]string{"missing": "/nonexistent", "no PEM": file(t, "x")} {
		cfg := DefaultConfig()
		cfg.TLS.CA = bad
		if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), "tls.ca") {
			t.Errorf("%s: got %v, want an error about tls.ca", name, err)
		}
	}
}

// nowhere are Roots that hold no file.
type nowhere struct{}

func (nowhere) HoldsFile(f *os.File) error { return fmt.Errorf("%s: outside", f.Name()) }

func TestFilesOutsideOfWhatIsAllowedAreNotRead(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") })
	for name, change := range map[string]func(*Config){
		"bearer_file":         func(c *Config) { c.BearerFile = file(t, "x") },
		"basic.password_file": func(c *Config) { c.Basic = &Basic{User: "u", PasswordFile: file(t, "x")} },
		"tls.ca":              func(c *Config) { c.TLS.CA = file(t, "x") },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		cfg.Bind(nowhere{})
		c, err := Open(cfg)
		if err == nil {
			_, err = c.Do(context.Background(), Request{URL: s.URL})
		}
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "outside") {
			t.Errorf("%s: got %v, want that it lies outside", name, err)
		}
	}
	cert, key := keyPair(t)
	pair := TLS{Cert: cert, Key: key, within: nowhere{}}
	if _, err := pair.pair(); err == nil || !strings.Contains(err.Error(), "outside") {
		t.Errorf("tls.cert: got %v, want that it lies outside", err)
	}
}

type holder struct {
	URL URL `config:"url"`
	Config
}

func (h *holder) Validate(n config.Node) config.Problems { return h.Check(n) }

func TestBadConfigIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"{url: /x}":                                              `its scheme is ""; allowed: http, https`,
		"{url: 'http:///x'}":                                     "it has no host",
		"{url: 'http://u:p@h/'}":                                 "which belong in files",
		"{url: 'http://h/#x'}":                                   "must not have a fragment",
		"{url: 'http://h/%zz'}":                                  "RFC 3986",
		"{headers: {a b: c}}":                                    `header "a b": the name must not have ' '`,
		"{headers: {Authorization: x}}":                          "it belongs in a file",
		"{headers: {Content-Length: 3}}":                         "set by the client itself",
		`{headers: {a: "x\ny"}}`:                                 "control characters",
		"{tls: {cert: /x}}":                                      `"cert" and "key" go together`,
		"{tls: {insecure: true, ca: /x}}":                        `"ca" is given as well`,
		"{basic: {user: a}}":                                     `"password_file" is missing`,
		"{basic: {user: 'a:b', password_file: /x}}":              "must not have a colon",
		"{basic: {user: a, password_file: /x}, bearer_file: /y}": "one of both is allowed",
		"{timeout: 0s}":                                          "from 10ms to 1h",
		"{max_body: 1GiB}":                                       "from 1KiB to 16MiB",
	} {
		h := holder{Config: DefaultConfig()}
		n, problems := config.Parse("f", []byte(text))
		if err := append(problems, config.Decode(n, &h)...).Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	c := Config{BearerFile: "a", Basic: &Basic{PasswordFile: "b"}, TLS: TLS{CA: "c", Cert: "d", Key: "e"}}
	if got := strings.Join(c.Files(), " "); got != "a c d e b" {
		t.Errorf("Files: got %q, want all five", got)
	}
	if got := Shown("https://h:1/p?token=x"); got != "https://h:1/p" {
		t.Errorf("Shown: got %q, want no query", got)
	}
}

func FuzzCheckURL(f *testing.F) {
	f.Add("http://h/%2f?x#y")
	f.Add("https://[::1%25eth0]:1/")
	f.Fuzz(func(t *testing.T, s string) {
		if CheckURL(s) != nil {
			return
		}
		if _, err := http.NewRequest(http.MethodGet, s, nil); err != nil {
			t.Errorf("%q was taken, but can't be asked: %v", s, err)
		}
		_ = Shown(s)
	})
}
