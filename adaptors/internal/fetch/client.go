// Package fetch asks HTTP servers, within bounds: the client that several
// kinds of adaptors share, and the config keys for it.
package fetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Client asks servers. It is safe for concurrent use.
type Client struct {
	cfg       Config
	transport *http.Transport
	http      http.Client
}

// Bounds on what is read from files and taken from servers.
const (
	maxSecret    = 16 << 10
	maxPEM       = 1 << 20
	maxAnswerHdr = 256 << 10
	maxRedirects = 5
)

// Open makes a client. It reads the files that TLS needs; tokens and passwords
// are read for each request, as they may change at any time.
func Open(cfg Config) (*Client, error) {
	tlsConfig, err := cfg.TLS.Load()
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: cfg.Timeout.Std()}).DialContext,
		TLSClientConfig:        tlsConfig,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxAnswerHdr,
	}
	c := &Client{cfg: cfg, transport: t}
	c.http = http.Client{Transport: t, Timeout: cfg.Timeout.Std(), CheckRedirect: sameHost}
	return c, nil
}

// Close closes the connections that are kept. No request may be on.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// sameHost follows redirections within a host, at most from http to https:
// headers may hold secrets, which no other host is to see.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("redirected more than %d times", maxRedirects)
	case req.URL.Hostname() != first.Hostname(), first.Scheme == "https" && req.URL.Scheme != "https",
		first.Scheme == req.URL.Scheme && req.URL.Port() != first.Port():
		return fmt.Errorf("it redirects to %s://%s, which is another server; ask that one", req.URL.Scheme, req.URL.Host)
	}
	return nil
}

// Load returns what crypto/tls needs.
func (t *TLS) Load() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.Insecure}
	if t.CA != "" {
		pem, err := readFile(t.within, t.CA, maxPEM)
		if err != nil {
			return nil, fmt.Errorf("read tls.ca: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read tls.ca: %s holds no certificate in PEM", t.CA)
		}
	}
	if t.Cert != "" {
		// Read at each handshake: certificates are renewed while we run.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := t.pair()
			if err != nil {
				return nil, fmt.Errorf("read tls.cert and tls.key: %w", err)
			}
			return pair, nil
		}
	}
	return cfg, nil
}

func (t *TLS) pair() (*tls.Certificate, error) {
	cert, err := readFile(t.within, t.Cert, maxPEM)
	if err != nil {
		return nil, err
	}
	key, err := readFile(t.within, t.Key, maxPEM)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	return &pair, err
}

func readFile(within Roots, path string, most int64) ([]byte, error) {
	// Opening a FIFO would wait for a writer.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if within != nil {
		if err := within.HoldsFile(f); err != nil {
			return nil, err
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, most)
	}
	return b, nil
}

// secret reads a token or password: the file's only line.
func secret(within Roots, path string) (string, error) {
	b, err := readFile(within, path, maxSecret)
	if err != nil {
		return "", err
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	for _, c := range []byte(s) {
		if c < ' ' || c == 0x7f {
			return "", fmt.Errorf("%s is not a single line of text", path)
		}
	}
	return s, nil
}

// Request is what is asked.
type Request struct {
	Method      string // empty: GET
	URL         string
	Body        []byte
	Header      http.Header // beside the config's, which win
	NoRedirects bool        // gives a redirection as the answer
	Truncate    bool        // takes as much of the answer's body as is allowed, instead of an error
}

// Answer is what a server said, with its whole body.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// TooLong is the error of a body beyond the bound.
type TooLong struct{ Bound int64 }

func (e *TooLong) Error() string {
	return fmt.Sprintf("the answer is longer than max_body, %d bytes", e.Bound)
}

// Do asks, and reads the answer's body, which is uncompressed where the server
// compressed it. Whatever the status, it is no error. Errors do not hold the
// URL, whose query may be secret, nor anything of the files.
func (c *Client) Do(ctx context.Context, r Request) (*Answer, error) {
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, bare(err)
	}
	for k, v := range r.Header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", "akupara")
	for k, v := range c.cfg.Headers {
		if strings.EqualFold(k, "Host") {
			req.Host = v
			continue
		}
		req.Header.Set(k, v)
	}
	if err := c.authorize(req); err != nil {
		return nil, err
	}
	client := &c.http
	if r.NoRedirects {
		own := c.http
		own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		client = &own
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, bare(err)
	}
	defer resp.Body.Close()
	body, err := c.read(resp)
	if long := new(TooLong); r.Truncate && errors.As(err, &long) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return &Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// read reads the body; one that is longer than allowed is given as far as it
// is, with a TooLong.
func (c *Client) read(resp *http.Response) ([]byte, error) {
	most := int64(c.cfg.MaxBody)
	var b bytes.Buffer
	if resp.ContentLength > 0 {
		b.Grow(int(min(resp.ContentLength, most)) + bytes.MinRead)
	}
	if _, err := b.ReadFrom(io.LimitReader(resp.Body, most+1)); err != nil {
		return nil, fmt.Errorf("read the answer: %w", bare(err))
	}
	if int64(b.Len()) > most {
		return b.Bytes()[:most], &TooLong{most}
	}
	return b.Bytes(), nil
}

func (c *Client) authorize(req *http.Request) error {
	switch {
	case c.cfg.BearerFile != "":
		token, err := secret(c.cfg.within, c.cfg.BearerFile)
		if err != nil {
			return fmt.Errorf("read bearer_file: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
	case c.cfg.Basic != nil:
		password, err := secret(c.cfg.within, c.cfg.Basic.PasswordFile)
		if err != nil {
			return fmt.Errorf("read basic.password_file: %w", err)
		}
		req.SetBasicAuth(c.cfg.Basic.User, password)
	}
	return nil
}

// bare takes the URL off an error, and says of a time-out that it is one.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		if u.Timeout() && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("no answer in time: %w", u.Err)
		}
		return u.Err
	}
	return err
}

// Shown is a URL for people and tags: without its query.
func Shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.RawQuery, u.User, u.Fragment = "", nil, ""
	return u.String()
}
