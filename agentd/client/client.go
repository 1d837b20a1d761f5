// Package client talks to an agent's REST API (agentd/openapi.yaml) by HTTP,
// HTTPS or a Unix socket. It links none of the agent.
package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

// Options say where an agent is, and who asks.
type Options struct {
	// Address is http://HOST:PORT, https://HOST:PORT, HOST:PORT, or unix:/PATH
	// of a socket. A URL may have a path before /v1, or name an agent behind
	// the web part: http://HOST:PORT/v1/agents/NODE.
	Address string
	// TokenFile holds the token that the agent asks for; it is read again for
	// each request, so that tokens may change. Empty: none is sent.
	TokenFile string
	// CA is a PEM file of the authorities that the agent's certificate is held
	// against; empty: the system's.
	CA string
	// ServerName is a name that the agent's certificate is for; empty: that of
	// Address.
	ServerName string
	// Cert and Key are PEM files of a client certificate; read again for each
	// connection. Both or none.
	Cert, Key string
}

// Bounds of what an agent may answer, and of a token's file.
const (
	maxReply = 64 << 20
	maxError = 1 << 20
	maxToken = 16 << 10
)

// dialWait bounds connecting, TLS included.
const dialWait = 5 * time.Second

// Client talks to one agent. It is safe for concurrent use.
type Client struct {
	address   string // as given, for messages
	root      string // URL of what /healthz stands under
	api       string // URL of what /adaptors stands under
	tokenFile string
	http      *http.Client
}

// New checks the options and reads the files of CA, Cert and Key. It connects
// to nothing.
func New(o Options) (*Client, error) {
	c := &Client{address: o.Address, tokenFile: o.TokenFile}
	dialer := &net.Dialer{Timeout: dialWait}
	transport := &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: dialWait,
		MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
	}
	secure := false
	if socket, ok := strings.CutPrefix(o.Address, "unix:"); ok {
		socket = "/" + strings.TrimLeft(socket, "/")
		if socket == "/" || !strings.HasPrefix(o.Address, "unix:/") {
			return nil, fmt.Errorf("agent %q: want unix:/PATH, with an absolute path", o.Address)
		}
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		}
		c.root, c.api = "http://localhost", "http://localhost/v1"
	} else {
		u, err := parseURL(o.Address)
		if err != nil {
			return nil, err
		}
		secure = u.Scheme == "https"
		if o.TokenFile != "" && !secure && !isLoopback(u.Hostname()) {
			return nil, fmt.Errorf("agent %s: a token is sent by https, or to this machine alone", o.Address)
		}
		c.root = strings.TrimRight(u.String(), "/")
		c.api = c.root + "/v1"
		if strings.Contains(u.Path, "/v1/") {
			c.api = c.root
		}
	}
	if !secure && (o.CA != "" || o.Cert != "" || o.Key != "") {
		return nil, fmt.Errorf("agent %s: certificates are for addresses that start with https://", o.Address)
	}
	var err error
	if transport.TLSClientConfig, err = tlsConfig(o); err != nil {
		return nil, err
	}
	c.http = &http.Client{
		Transport: transport, // no proxy: what is asked for is asked of the agent
		// Whoever redirects is no agent; a token is not for others.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

func parseURL(address string) (*url.URL, error) {
	full := address
	if !strings.Contains(address, "://") {
		full = "http://" + address
	}
	u, err := url.Parse(full)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("agent %q: want http://HOST:PORT, https://HOST:PORT or unix:/PATH", address)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("agent %q: no user, query or fragment is allowed in it", u.Redacted())
	}
	return u, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func tlsConfig(o Options) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.ServerName}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("read authorities: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read authorities: %s holds no certificate in PEM", o.CA)
		}
	}
	if (o.Cert == "") != (o.Key == "") {
		return nil, errors.New("a client certificate needs its key, and a key its certificate")
	}
	if o.Cert != "" {
		load := func() (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
			if err != nil {
				return nil, fmt.Errorf("read client certificate: %w", err)
			}
			return &pair, nil
		}
		if _, err := load(); err != nil {
			return nil, err
		}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	return cfg, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Send makes one request of path, which is escaped, starts with a slash and
// may have a query: it stands under the API's /v1. The caller closes the
// reply's body, and bounds it. The error is an *Away where no reply came.
func (c *Client) Send(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	return c.send(ctx, method, c.api+path, header, body)
}

func (c *Client) send(ctx context.Context, method, target string, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, &Away{Address: c.address, Cause: err}
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if c.tokenFile != "" {
		if err := SetToken(req, c.tokenFile); err != nil {
			return nil, &Away{Address: c.address, Cause: err}
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &Away{Address: c.address, Cause: err}
	}
	return resp, nil
}

// SetToken gives a request the token that a file holds.
func SetToken(req *http.Request, file string) error {
	token, err := readToken(file)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return nil
}

func readToken(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" || len(data) > maxToken || strings.ContainsAny(token, "\r\n\x00") {
		return "", fmt.Errorf("read token: %s holds no token on a line of its own, of %d bytes at most", name, maxToken)
	}
	return token, nil
}

// Healthy asks for /healthz.
func (c *Client) Healthy(ctx context.Context) error {
	resp, err := c.send(ctx, http.MethodGet, c.root+"/healthz", nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the agent at %s answers %s", c.address, resp.Status)
	}
	return nil
}

// call makes a request, and gives the whole reply. What the agent refused is a
// *Refused.
func (c *Client) call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	header := http.Header{"Accept": {"application/json"}}
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
		kind := "application/yaml"
		if json.Valid(body) {
			kind = "application/json"
		}
		header.Set("Content-Type", kind)
	}
	resp, err := c.Send(ctx, method, path, header, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	limit := int64(maxReply)
	if resp.StatusCode >= 300 {
		limit = maxError
	}
	reply, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return nil, &Away{Address: c.address, Cause: fmt.Errorf("the reply broke off: %w", err)}
	case int64(len(reply)) > limit:
		return nil, fmt.Errorf("the agent at %s answers with more than %d bytes", c.address, limit)
	case resp.StatusCode < 300:
		return reply, nil
	}
	return nil, c.refused(resp, reply)
}

// refused makes an error of a reply that is no success.
func (c *Client) refused(resp *http.Response, reply []byte) error {
	var said struct {
		Error    string   `json:"error"`
		Problems []string `json:"problems"`
	}
	r := &Refused{Address: c.address, Status: resp.StatusCode}
	switch err := json.Unmarshal(reply, &said); {
	case err == nil && said.Error != "":
		r.Message, r.Problems = said.Error, said.Problems
	case bytes.Contains(reply, []byte("HTTP request to an HTTPS server")):
		r.Message = "it speaks https: write the address with https://"
	default:
		r.Message = fmt.Sprintf("it answers %s to %s %s, and not as an agent does", resp.Status, resp.Request.Method, resp.Request.URL.Path)
	}
	return r
}

// Refused is an answer that is no success.
type Refused struct {
	Address  string
	Status   int
	Message  string   // the agent's own
	Problems []string // file:line:column: message, where an entry or a config is wrong
}

func (r *Refused) Error() string {
	msg := fmt.Sprintf("the agent at %s refuses: %s", r.Address, r.Message)
	if r.Status == http.StatusUnauthorized {
		msg += "; --token-file names the file of its token"
	}
	return msg
}

// Away says that no whole answer came.
type Away struct {
	Address string
	Cause   error
}

func (a *Away) Unwrap() error { return a.Cause }

func (a *Away) Error() string {
	var unknown x509.UnknownAuthorityError
	var op *net.OpError
	why := a.Cause
	// The method and URL that net/http puts before say nothing new.
	if u := (*url.Error)(nil); errors.As(why, &u) {
		why = u.Err
	}
	switch {
	case errors.Is(why, os.ErrPermission):
		return fmt.Sprintf("the agent at %s can't be asked: no permission (%v)", a.Address, why)
	case errors.As(why, &unknown):
		return fmt.Sprintf("the agent at %s is not trusted: %v; --ca names a file of authorities", a.Address, why)
	case errors.Is(why, context.DeadlineExceeded):
		return fmt.Sprintf("the agent at %s did not answer in time", a.Address)
	case errors.Is(why, context.Canceled):
		return fmt.Sprintf("the agent at %s was not waited for: %v", a.Address, why)
	case errors.As(why, &op) && op.Op == "dial":
		return fmt.Sprintf("the agent at %s is not there: is it running? (%v)", a.Address, cmp.Or(op.Err, why))
	}
	return fmt.Sprintf("the agent at %s can't be asked: %v", a.Address, why)
}

// Address is Options.Address in a config.
type Address string

// Want implements config.Wanter.
func (Address) Want() string {
	return "an agent's address: http://HOST:PORT, https://HOST:PORT or unix:/PATH"
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Address) UnmarshalText(text []byte) error {
	c, err := New(Options{Address: string(text)})
	if err != nil {
		return err
	}
	c.Close()
	*a = Address(strings.TrimSuffix(string(text), "/"))
	return nil
}
