package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/agentd/client"
)

func open(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAddressesThatMakeNoSenseAreRefused(t *testing.T) {
	for address, want := range map[string]string{
		"":                           "want http://HOST:PORT",
		"ftp://x:1":                  "want http://HOST:PORT",
		"http://":                    "want http://HOST:PORT",
		"unix:":                      "absolute path",
		"unix:agent.sock":            "absolute path",
		"http://me:secret@localhost": "no user",
		"http://localhost:1?x=y":     "no user, query or fragment",
	} {
		_, err := client.New(client.Options{Address: address})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want %q in it", address, err, want)
		}
	}
	token := file(t, "token", "x")
	for _, o := range []client.Options{
		{Address: "http://10.0.0.1:1", TokenFile: token},
		{Address: "http://localhost:1", CA: token},
		{Address: "https://localhost:1", CA: token},
		{Address: "https://localhost:1", CA: "/nope"},
		{Address: "https://localhost:1", Cert: token},
		{Address: "https://localhost:1", Cert: token, Key: token},
	} {
		if _, err := client.New(o); err == nil {
			t.Errorf("%+v: taken, want an error", o)
		}
	}
	for _, address := range []string{"localhost:9771", "http://[::1]:9771/", "https://node1", "unix:/run/a.sock", "unix:///run/a.sock"} {
		if _, err := client.New(client.Options{Address: address}); err != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// serve answers everything in one way.
func serve(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

func TestErrorsSayWhatIsWrongAndWhatToDo(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	secure.Config.ErrorLog = nil
	plain := serve(t, http.NotFound)
	for name, c := range map[string]struct {
		address string
		want    []string
	}{
		"nobody there":      {gone.URL, []string{"the agent at " + gone.URL, "is it running?", "connection refused"}},
		"no socket":         {"unix:/nope/agent.sock", []string{"unix:/nope/agent.sock", "is it running?", "no such file"}},
		"not an agent":      {plain, []string{"404", "not as an agent does"}},
		"http to https":     {"http" + strings.TrimPrefix(secure.URL, "https"), []string{"https://"}},
		"https to http":     {"https" + strings.TrimPrefix(plain, "http"), []string{"HTTP response to HTTPS client"}},
		"unknown authority": {secure.URL, []string{"not trusted", "--ca"}},
		"no token": {serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"a token is asked for"}`)
		}), []string{"a token is asked for", "--token-file"}},
		"problems": {serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"request:1:2: bad","problems":["request:1:2: bad"]}`)
		}), []string{"request:1:2: bad"}},
		"redirect":       {serve(t, http.RedirectHandler("http://example.com/", http.StatusFound).ServeHTTP), []string{"302", "not as an agent does"}},
		"reply too long": {serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 65<<20)) }), []string{"more than 67108864 bytes"}},
		"error too long": {serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write(make([]byte, 2<<20))
		}), []string{"more than 1048576 bytes"}},
		"broken off": {serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "[")
		}), []string{"broke off"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, client.Options{Address: c.address}).Adaptors(t.Context())
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("got several lines: %v", err)
			}
		})
	}
}

func TestAnAgentThatHangsIsNotWaitedForBeyondTheDeadline(t *testing.T) {
	ended := make(chan struct{})
	address := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); close(ended) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := open(t, client.Options{Address: address}).Adaptors(ctx)
	var away *client.Away
	if !errors.As(err, &away) || !strings.Contains(err.Error(), "did not answer in time") {
		t.Errorf("got %v, want that it did not answer in time", err)
	}
	<-ended
}

func TestTheTokenIsReadForEachRequest(t *testing.T) {
	var got []string
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
		fmt.Fprint(w, "[]")
	})
	token := file(t, "token", "first\n")
	c := open(t, client.Options{Address: address, TokenFile: token})
	ask := func() error { _, err := c.Adaptors(t.Context()); return err }
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(token, []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "two\nlines", strings.Repeat("x", 17<<10)} {
		if err := os.WriteFile(token, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := ask(); err == nil || strings.Contains(err.Error(), "two") {
			t.Errorf("a token of %d bytes: got %v, want an error that does not tell it", len(bad), err)
		}
	}
	if want := []string{"Bearer first", "Bearer second"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the agent saw %q, want %q", got, want)
	}
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.cert, a.key = a.sign(t, &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) sign(t *testing.T, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	template.Subject = pkix.Name{CommonName: "test"}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func pemOf(t *testing.T, cert *x509.Certificate, key *ecdsa.PrivateKey) (certPEM, keyPEM string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestAClientCertificateIsShown(t *testing.T) {
	ca := newAuthority(t)
	serverCert, serverKey := ca.sign(t, &x509.Certificate{SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	clientCert, clientKey := ca.sign(t, &x509.Certificate{SerialNumber: big.NewInt(3), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[]") }))
	s.TLS = &tls.Config{ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
		Certificates: []tls.Certificate{{Certificate: [][]byte{serverCert.Raw}, PrivateKey: serverKey}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	caPEM, _ := pemOf(t, ca.cert, ca.key)
	certPEM, keyPEM := pemOf(t, clientCert, clientKey)
	o := client.Options{Address: s.URL, CA: file(t, "ca.pem", caPEM)}
	if _, err := open(t, o).Adaptors(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without a certificate: got %v, want that one is asked for", err)
	}
	o.Cert, o.Key = file(t, "cert.pem", certPEM), file(t, "key.pem", keyPEM)
	if _, err := open(t, o).Adaptors(t.Context()); err != nil {
		t.Errorf("with a certificate: %v", err)
	}
}

func TestAnAgentBehindTheWebPartIsAskedThere(t *testing.T) {
	var path string
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.EscapedPath()
		fmt.Fprint(w, "{}")
	})
	for base, want := range map[string]string{
		address:                        "/v1/adaptors/a%2Fb/stop",
		address + "/":                  "/v1/adaptors/a%2Fb/stop",
		address + "/prefix":            "/prefix/v1/adaptors/a%2Fb/stop",
		address + "/v1/agents/node-1":  "/v1/agents/node-1/adaptors/a%2Fb/stop",
		address + "/v1/agents/node-1/": "/v1/agents/node-1/adaptors/a%2Fb/stop",
	} {
		if _, err := open(t, client.Options{Address: base}).Stop(t.Context(), "a/b"); err != nil || path != want {
			t.Errorf("%s: got %s %v, want %s", base, path, err, want)
		}
	}
}
