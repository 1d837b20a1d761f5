package daemon

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Access says by what a server is known and who may use it. The files are read
// when the server begins to listen, and again when they have changed.
type Access struct {
	Cert      string // file of the server's certificate chain, PEM
	Key       string // file of its private key, PEM
	ClientCA  string // file of the CAs that client certificates are checked against, PEM
	TokenFile string // file of the token that requests have to carry
}

// minToken is what a token has at least: shorter ones can be guessed.
const minToken = 16

// Given reports whether anything is configured.
func (a Access) Given() bool { return a != Access{} }

// Check says why a server must not listen at an address: on all that is not
// loopback or a Unix socket it needs TLS, and a token or client certificates.
func (a Access) Check(network, address string) error {
	switch {
	case (a.Cert == "") != (a.Key == ""):
		return errors.New("tls.cert and tls.key go together; one of them is missing")
	case a.ClientCA != "" && a.Cert == "":
		return errors.New("tls.client_ca needs tls.cert and tls.key, too")
	case network == "unix" && a.Cert != "":
		return fmt.Errorf("a Unix socket is not served with TLS: take tls out; its folder, its mode and token_file say who may use it")
	case IsLocal(network, address):
		return nil
	case a.Cert == "":
		return fmt.Errorf("%q is open to other machines: set tls.cert and tls.key, and token_file or tls.client_ca, "+
			"or listen on an address of this machine alone, such as 127.0.0.1 or unix:/path", address)
	case a.TokenFile == "" && a.ClientCA == "":
		return fmt.Errorf("%q is open to other machines, and whoever reaches it could use it: set token_file (a file with a token of %d bytes at least) "+
			"or tls.client_ca (the CA of the clients' certificates)", address, minToken)
	}
	return nil
}

// checkBound is Check for the address that a listener was given in the end: a
// name such as localhost leads wherever the system's resolver says.
func (a Access) checkBound(addr net.Addr) error { return a.Check(addr.Network(), addr.String()) }

// IsLocal reports whether an address is reached from this machine alone.
func IsLocal(network, address string) bool {
	if network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// Keeper holds what an Access's files contain, and reads them again when they
// have changed. A file that is wrong then is reported, and what was read before
// goes on. It is safe for concurrent use.
type Keeper struct {
	access Access
	log    *slog.Logger

	mu      sync.Mutex
	looked  time.Time
	stamps  map[string]stamp
	cert    *tls.Certificate
	clients *x509.CertPool
	token   []byte
}

// lookEvery is how often the files are looked at, at most.
const lookEvery = time.Second

type stamp struct {
	size     int64
	modified time.Time
}

// NewKeeper prepares a keeper; Read reads the files.
func NewKeeper(a Access, log *slog.Logger) *Keeper { return &Keeper{access: a, log: log} }

// Read reads the files. After an error nothing has changed.
func (k *Keeper) Read() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stamps = k.look()
	return k.read()
}

func (k *Keeper) read() error {
	var cert *tls.Certificate
	var clients *x509.CertPool
	var token []byte
	if k.access.Cert != "" {
		c, err := tls.LoadX509KeyPair(k.access.Cert, k.access.Key)
		if err != nil {
			return fmt.Errorf("read the certificate %s and its key %s: %w", k.access.Cert, k.access.Key, err)
		}
		cert = &c
	}
	if k.access.ClientCA != "" {
		pem, err := os.ReadFile(k.access.ClientCA)
		if err != nil {
			return fmt.Errorf("read the clients' CA: %w", err)
		}
		if clients = x509.NewCertPool(); !clients.AppendCertsFromPEM(pem) {
			return fmt.Errorf("read the clients' CA: %s holds no certificate in PEM", k.access.ClientCA)
		}
	}
	if k.access.TokenFile != "" {
		text, err := os.ReadFile(k.access.TokenFile)
		if err != nil {
			return fmt.Errorf("read the token: %w", err)
		}
		if token = []byte(strings.TrimSpace(string(text))); len(token) < minToken {
			return fmt.Errorf("read the token: %s holds %d bytes; want at least %d, such as from: openssl rand -hex 32", k.access.TokenFile, len(token), minToken)
		}
	}
	k.cert, k.clients, k.token = cert, clients, token
	return nil
}

func (k *Keeper) look() map[string]stamp {
	out := map[string]stamp{}
	for _, name := range []string{k.access.Cert, k.access.Key, k.access.ClientCA, k.access.TokenFile} {
		if info, err := os.Stat(name); name != "" && err == nil {
			out[name] = stamp{info.Size(), info.ModTime()}
		}
	}
	return out
}

// fresh reads the files again where that is due. Under mu.
func (k *Keeper) fresh() {
	now := time.Now()
	if now.Sub(k.looked) < lookEvery {
		return
	}
	k.looked = now
	stamps := k.look()
	same := len(stamps) == len(k.stamps)
	for name, s := range stamps {
		same = same && s == k.stamps[name]
	}
	if same {
		return
	}
	k.stamps = stamps
	if err := k.read(); err != nil {
		k.log.Error("certificates or the token have changed and can't be used; the ones before stay", "error", err)
		return
	}
	k.log.Info("certificates and the token were read again")
}

// tls is the server's side of a handshake, nil where there is no certificate.
func (k *Keeper) tls() *tls.Config {
	if k.access.Cert == "" {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.fresh()
			c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
				SessionTicketsDisabled: true, // a client is checked at every connection
				Certificates:           []tls.Certificate{*k.cert}}
			if k.clients != nil {
				c.ClientCAs, c.ClientAuth = k.clients, tls.RequireAndVerifyClientCert
				if k.access.TokenFile != "" { // a token does as well
					c.ClientAuth = tls.VerifyClientCertIfGiven
				}
			}
			return c, nil
		},
	}
}

// names reports whether the certificate is one for host.
func (k *Keeper) names(host string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cert != nil && k.cert.Leaf != nil && k.cert.Leaf.VerifyHostname(host) == nil
}

// allows reports whether a request carries the token, or its connection a client
// certificate that was checked; or whether nothing of the kind is asked for.
func (k *Keeper) allows(r *http.Request) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fresh()
	if k.access.TokenFile == "" && k.access.ClientCA == "" {
		return true
	}
	if k.access.ClientCA != "" && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return len(k.token) > 0 && strings.EqualFold(scheme, "bearer") &&
		subtle.ConstantTimeCompare([]byte(strings.TrimSpace(token)), k.token) == 1
}

// Authorize refuses, with 401, requests that are not allowed, but for those of
// the open paths, such as /healthz. It is for Mux.Before.
func (k *Keeper) Authorize(open ...string) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if slices.Contains(open, r.URL.Path) || k.allows(r) {
			return true
		}
		w.Header().Set("WWW-Authenticate", "Bearer")
		if r.Header.Get("Authorization") != "" {
			Refuse(w, http.StatusUnauthorized, "the token that was sent is not this server's")
			return false
		}
		Refuse(w, http.StatusUnauthorized, "a token is asked for: send the header Authorization: Bearer TOKEN")
		return false
	}
}

type keeperKey struct{}

func withKeeper(ctx context.Context, k *Keeper) context.Context {
	return context.WithValue(ctx, keeperKey{}, k)
}

// certNames reports whether the server of the request has a certificate for host.
func certNames(ctx context.Context, host string) bool {
	k, ok := ctx.Value(keeperKey{}).(*Keeper)
	return ok && k.names(host)
}
