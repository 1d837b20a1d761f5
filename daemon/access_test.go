package daemon

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority makes certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a.key = key
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// issue writes a certificate for a name and its key, and gives their files.
func (a *authority) issue(dir, name string) (cert, key string) {
	a.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	put(a.t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	put(a.t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	return cert, key
}

func put(t *testing.T, name string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const testToken = "0123456789abcdef-the-token"

// guarded serves with an access, and gives the address.
func guarded(t *testing.T, a Access, log *slog.Logger) string {
	t.Helper()
	keeper := NewKeeper(a, log)
	e := NewMux(quiet)
	e.Before(Guard(nobody))
	e.Before(keeper.Authorize("/healthz"))
	ops(e, NewRegistry(), NewHealth())
	e.Handle("POST", "/do", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	s := NewServer(ServerConfig{Name: "test", Address: "127.0.0.1:0", Handler: e, Log: quiet, Keeper: keeper})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	return s.Addr().String()
}

func status(c *http.Client, method, url string, header ...string) (int, error) {
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		return 0, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func TestAnOpenAddressDemandsTLSAndWhoMayUseIt(t *testing.T) {
	for _, c := range []struct {
		network, address string
		access           Access
		want             string // in the error; empty: allowed
	}{
		{"tcp", "127.0.0.1:9771", Access{}, ""},
		{"tcp", "localhost:9771", Access{}, ""},
		{"tcp", "[::1]:9771", Access{}, ""},
		{"unix", "/run/a.sock", Access{}, ""},
		{"tcp", "0.0.0.0:9771", Access{}, "tls.cert"},
		{"tcp", ":9771", Access{}, "tls.cert"},
		{"tcp", "[::]:9771", Access{}, "tls.cert"},
		{"tcp", "10.0.0.7:9771", Access{TokenFile: "t"}, "tls.cert"},
		{"tcp", "node7:9771", Access{Cert: "c", Key: "k"}, "token_file"},
		{"tcp", "10.0.0.7:9771", Access{Cert: "c", Key: "k", TokenFile: "t"}, ""},
		{"tcp", "10.0.0.7:9771", Access{Cert: "c", Key: "k", ClientCA: "a"}, ""},
		{"tcp", "127.0.0.1:9771", Access{Cert: "c"}, "tls.key"},
		{"tcp", "127.0.0.1:9771", Access{ClientCA: "a"}, "tls.cert"},
		{"unix", "/run/a.sock", Access{TokenFile: "t"}, ""},
		{"unix", "/run/a.sock", Access{Cert: "c", Key: "k"}, "take tls out"},
		{"tcp", "localhost.evil.example:9771", Access{}, "tls.cert"},
	} {
		err := c.access.Check(c.network, c.address)
		if got := err == nil; got != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %+v: got %v, want %q in it", c.address, c.access, err, c.want)
		}
	}
	err := NewServer(ServerConfig{Name: "test", Address: "0.0.0.0:0", Log: quiet, Keeper: NewKeeper(Access{}, quiet)}).Listen()
	if err == nil || !strings.Contains(err.Error(), "open to other machines") {
		t.Errorf("listening there: got %v, want it to be refused", err)
	}
}

func TestATokenIsAskedFor(t *testing.T) {
	file := put(t, filepath.Join(t.TempDir(), "token"), []byte(testToken+"\n"))
	url := "http://" + guarded(t, Access{TokenFile: file}, quiet)
	for _, c := range []struct {
		method, path string
		header       []string
		want         int
	}{
		{"POST", "/do", nil, 401},
		{"POST", "/do", []string{"Authorization", "Bearer " + testToken}, 204},
		{"POST", "/do", []string{"Authorization", "bearer " + testToken}, 204},
		{"POST", "/do", []string{"Authorization", "Bearer " + testToken + "x"}, 401},
		{"POST", "/do", []string{"Authorization", "Bearer " + testToken[:20]}, 401},
		{"POST", "/do", []string{"Authorization", "Bearer "}, 401},
		{"POST", "/do", []string{"Authorization", "Basic " + testToken}, 401},
		{"POST", "/do?token=" + testToken, nil, 401},
		{"GET", "/metrics", nil, 401},
		{"GET", "/none", nil, 401},
		{"DELETE", "/do", nil, 401},
		{"GET", "/healthz", nil, 200},
	} {
		if got, err := status(http.DefaultClient, c.method, url+c.path, c.header...); err != nil || got != c.want {
			t.Errorf("%s %s %q: got %d, %v, want %d", c.method, c.path, c.header, got, err, c.want)
		}
	}
	for name, text := range map[string]string{"empty": "\n", "short": "secret\n"} {
		put(t, file, []byte(text))
		err := NewServer(ServerConfig{Name: "test", Address: "127.0.0.1:0", Log: quiet, Keeper: NewKeeper(Access{TokenFile: file}, quiet)}).Listen()
		if err == nil || !strings.Contains(err.Error(), "at least 16") {
			t.Errorf("%s token: got %v, want it to be refused", name, err)
		}
	}
}

func TestClientsAreKnownByTheirCertificates(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	ca := newAuthority(t)
	cert, key := ca.issue(dir, "node7.example.org")
	foreignCert, foreignKey := newAuthority(t).issue(other, "node7.example.org")
	client := func(certFile, keyFile string) *http.Client {
		cfg := &tls.Config{RootCAs: x509.NewCertPool()}
		cfg.RootCAs.AddCert(ca.cert)
		if certFile != "" {
			pair, err := tls.LoadX509KeyPair(certFile, keyFile)
			if err != nil {
				t.Fatal(err)
			}
			// Sent whatever the server asks for.
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		tr := &http.Transport{TLSClientConfig: cfg}
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr}
	}
	access := Access{Cert: cert, Key: key, ClientCA: put(t, filepath.Join(dir, "ca.pem"), ca.pem)}
	strict := "https://" + guarded(t, access, quiet)
	if got, err := status(client(cert, key), "POST", strict+"/do"); err != nil || got != 204 {
		t.Errorf("with a certificate: got %d, %v, want 204", got, err)
	}
	for name, c := range map[string]*http.Client{"without a certificate": client("", ""), "with another CA's": client(foreignCert, foreignKey)} {
		if got, err := status(c, "POST", strict+"/do"); err == nil {
			t.Errorf("%s: got %d, want the handshake to fail", name, got)
		}
	}
	if got, err := status(client(cert, key), "POST", strings.Replace(strict, "https", "http", 1)+"/do"); err == nil && got != 400 {
		t.Errorf("without TLS: got %d, want it to fail", got)
	}
	// The certificate's name is the server's own; no other is.
	for host, want := range map[string]int{"node7.example.org": 204, "evil.example": 403} {
		if got, err := status(client(cert, key), "POST", strict+"/do", "Host", host); err != nil || got != want {
			t.Errorf("host %s: got %d, %v, want %d", host, got, err, want)
		}
	}

	access.TokenFile = put(t, filepath.Join(dir, "token"), []byte(testToken))
	either := "https://" + guarded(t, access, quiet)
	if got, err := status(client("", ""), "POST", either+"/do", "Authorization", "Bearer "+testToken); err != nil || got != 204 {
		t.Errorf("with the token alone: got %d, %v, want 204", got, err)
	}
	if got, err := status(client(cert, key), "POST", either+"/do"); err != nil || got != 204 {
		t.Errorf("with the certificate alone: got %d, %v, want 204", got, err)
	}
	if got, err := status(client("", ""), "POST", either+"/do"); err != nil || got != 401 {
		t.Errorf("with neither: got %d, %v, want 401", got, err)
	}
}

func TestChangedCertificatesAndTokensAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t)
	cert, key := ca.issue(dir, "one.example.org")
	token := put(t, filepath.Join(dir, "token"), []byte(testToken))
	var log bytes.Buffer
	keeper := NewKeeper(Access{Cert: cert, Key: key, TokenFile: token}, slog.New(slog.NewTextHandler(&log, nil)))
	if err := keeper.Read(); err != nil {
		t.Fatal(err)
	}
	served := func() string {
		keeper.mu.Lock()
		keeper.looked = time.Time{} // a second has passed
		keeper.mu.Unlock()
		c, err := keeper.tls().GetConfigForClient(nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Certificates[0].Leaf.DNSNames[0]
	}
	if got := served(); got != "one.example.org" {
		t.Errorf("got %s, want the first", got)
	}
	put(t, key, []byte("half a key"))
	if got := served(); got != "one.example.org" || !strings.Contains(log.String(), "the ones before stay") {
		t.Errorf("with a damaged key: got %s and the log %q, want the first and a message", got, &log)
	}
	ca.issue(dir, "two.example.org")
	put(t, token, []byte("another-token-of-enough-bytes"))
	if got := served(); got != "two.example.org" {
		t.Errorf("after the change: got %s, want the second", got)
	}
	r := httptest.NewRequest(http.MethodPost, "/do", nil)
	r.Header.Set("Authorization", "Bearer another-token-of-enough-bytes")
	if !keeper.allows(r) {
		t.Error("the new token is refused")
	}
	r.Header.Set("Authorization", "Bearer "+testToken)
	if keeper.allows(r) {
		t.Error("the old token is taken")
	}
}

func TestBrowsersOfOtherSitesAreRefusedOnAllPathsAndMethods(t *testing.T) {
	e := NewMux(quiet)
	e.Before(Guard(nobody))
	ops(e, NewRegistry(), NewHealth())
	e.Handle("POST", "/do", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for site, want := range map[string]bool{"": true, "same-origin": true, "none": true, "same-site": false, "cross-site": false, "odd": false} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			for _, path := range []string{"/do", "/metrics", "/healthz", "/none"} {
				r := httptest.NewRequest(method, path, nil)
				r.Host = "127.0.0.1:9771"
				if site != "" {
					r.Header.Set("Sec-Fetch-Site", site)
				}
				w := httptest.NewRecorder()
				e.ServeHTTP(w, r)
				if got := w.Code != http.StatusForbidden; got != want {
					t.Errorf("%s %s, Sec-Fetch-Site %q: got %d, want it to be allowed: %v", method, path, site, w.Code, want)
				}
			}
		}
	}
}

// A name may lead elsewhere than it says.
func TestTheAddressThatAListenerGotIsCheckedToo(t *testing.T) {
	for _, c := range []struct {
		addr net.Addr
		a    Access
		ok   bool
	}{
		{&net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 9771}, Access{}, false},
		{&net.TCPAddr{IP: net.IPv6zero, Port: 9771}, Access{}, false},
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9771}, Access{}, true},
		{&net.TCPAddr{IP: net.IPv6loopback, Port: 9771}, Access{}, true},
		{&net.UnixAddr{Name: "/run/a.sock", Net: "unix"}, Access{}, true},
		{&net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 9771}, Access{Cert: "c", Key: "k", TokenFile: "t"}, true},
	} {
		if err := c.a.checkBound(c.addr); (err == nil) != c.ok {
			t.Errorf("%v with %+v: got %v, want it taken: %v", c.addr, c.a, err, c.ok)
		}
	}
}

func TestConnectionsAreBoundedAndOthersServedAgainLater(t *testing.T) {
	m := NewMux(quiet)
	m.Handle("GET", "/ok", func(w http.ResponseWriter, _ *http.Request) { Reply(w, 200, "ok") })
	s := NewServer(ServerConfig{Name: "test", Address: "127.0.0.1:0", Handler: m, Log: quiet, MaxConns: 2})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	ask := func(c net.Conn) error {
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if _, err := c.Write([]byte("GET /ok HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
			return err
		}
		_, err := c.Read(make([]byte, 16))
		return err
	}
	var conns [3]net.Conn
	for i := range conns {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns[i] = c
		if err := ask(c); (err == nil) != (i < 2) {
			t.Errorf("connection %d: got %v, want an answer on two alone", i+1, err)
		}
	}
	conns[0].Close()
	for deadline := time.Now().Add(time.Minute); ; {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		err = ask(c)
		c.Close()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after one was closed: %v, want an answer", err)
		}
	}
}
