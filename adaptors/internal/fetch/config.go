package fetch

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/akupara/akupara/config"
)

// Config are the keys that all kinds which ask HTTP servers have in common.
type Config struct {
	Headers    map[string]string `config:"headers"`
	BearerFile string            `config:"bearer_file"` // its content is the token
	Basic      *Basic            `config:"basic"`
	TLS        TLS               `config:"tls"`
	Timeout    config.Duration   `config:"timeout" min:"10ms" max:"1h"` // of one request, its answer's body included
	MaxBody    config.Size       `config:"max_body" min:"1KiB" max:"16MiB"`

	within Roots // nil: files may lie anywhere
}

// Roots reports whether a file that is open may be read.
type Roots interface{ HoldsFile(f *os.File) error }

// Bind bounds where the config's files may lie.
func (c *Config) Bind(within Roots) { c.within, c.TLS.within = within, within }

// Basic is what HTTP's basic authentication needs (RFC 7617).
type Basic struct {
	User         string `config:"user,required"`
	PasswordFile string `config:"password_file,required"`
}

// TLS is how servers are told to be who they should be, and the client to them.
type TLS struct {
	CA         string `config:"ca"`          // PEM file; empty: the system's
	Cert       string `config:"cert"`        // PEM file of the client's certificate
	Key        string `config:"key"`         // PEM file of its key
	ServerName string `config:"server_name"` // that the server's certificate must have; empty: the URL's
	Insecure   bool   `config:"insecure"`    // takes any certificate

	within Roots
}

// DefaultConfig is what holds where a key is not given.
func DefaultConfig() Config {
	return Config{Timeout: config.Duration(10 * time.Second), MaxBody: 16 << 20}
}

// Files are the files that the config names, most of them secret.
func (c *Config) Files() []string {
	var out []string
	for _, f := range [...]string{c.BearerFile, c.TLS.CA, c.TLS.Cert, c.TLS.Key} {
		if f != "" {
			out = append(out, f)
		}
	}
	if c.Basic != nil {
		out = append(out, c.Basic.PasswordFile)
	}
	return out
}

// Bounds on what a config may hold.
const (
	maxURL     = 4096 // bytes
	maxHeaders = 64
	maxHeader  = 8 << 10 // bytes of a value
)

// Check tells what is wrong with the config; n is the mapping it was read from.
func (c *Config) Check(n config.Node) config.Problems {
	var out config.Problems
	headers := n.Get("headers")
	if len(c.Headers) > maxHeaders {
		out = append(out, headers.Problemf("%d headers; at most %d are allowed", len(c.Headers), maxHeaders))
	}
	for _, f := range headers.Fields() {
		if why := badHeader(f.Key, c.Headers[f.Key]); why != "" {
			out = append(out, f.Value.Problemf("header %q: %s", f.Key, why))
		}
	}
	if c.BearerFile != "" && c.Basic != nil {
		out = append(out, n.Get("basic").Problemf("\"bearer_file\" is given as well; one of both is allowed"))
	}
	if b := n.Get("basic"); c.Basic != nil && strings.ContainsAny(c.Basic.User, ":\r\n") {
		out = append(out, b.Get("user").Problemf("a user must not have a colon or a line end"))
	}
	return append(out, c.TLS.Check(n.Get("tls"))...)
}

// Check tells what is wrong with the TLS config.
func (t *TLS) Check(n config.Node) config.Problems {
	var out config.Problems
	if (t.Cert == "") != (t.Key == "") {
		out = append(out, n.Problemf("\"cert\" and \"key\" go together; one of them is missing"))
	}
	if t.Insecure && t.CA != "" {
		out = append(out, n.Get("insecure").Problemf("\"ca\" is given as well, which is of no use where any certificate is taken"))
	}
	return out
}

// badHeader tells what is wrong with a header, "" where nothing is. Names are
// tokens (RFC 9110, section 5.6.2); the ones that HTTP itself needs are not
// allowed.
func badHeader(name, value string) string {
	for _, r := range name {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) {
			return fmt.Sprintf("the name must not have %q", r)
		}
	}
	switch strings.ToLower(name) {
	case "":
		return "the name is empty"
	case "authorization":
		return "it belongs in a file; use \"bearer_file\" or \"basic\""
	case "connection", "content-length", "transfer-encoding", "trailer", "upgrade", "te", "accept-encoding":
		return "it is set by the client itself"
	}
	if len(value) > maxHeader {
		return fmt.Sprintf("the value has %d bytes; at most %d are allowed", len(value), maxHeader)
	}
	for _, r := range []byte(value) {
		if r < ' ' && r != '\t' || r == 0x7f {
			return "the value must not have control characters"
		}
	}
	return ""
}

// URL is an address that may be asked, with path and query.
type URL string

// Want implements config.Wanter.
func (URL) Want() string { return "a URL, such as http://127.0.0.1:8080/status" }

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *URL) UnmarshalText(text []byte) error {
	if err := CheckURL(string(text)); err != nil {
		return err
	}
	*u = URL(text)
	return nil
}

// CheckURL reports whether an address may be asked.
func CheckURL(s string) error {
	if len(s) > maxURL {
		return fmt.Errorf("it has %d bytes; at most %d are allowed", len(s), maxURL)
	}
	v, err := url.Parse(s)
	switch {
	case err != nil:
		return fmt.Errorf("it is not as RFC 3986 has it")
	case v.Scheme != "http" && v.Scheme != "https":
		return fmt.Errorf("its scheme is %q; allowed: http, https", v.Scheme)
	case v.Hostname() == "":
		return fmt.Errorf("it has no host")
	case v.User != nil:
		return fmt.Errorf("it has a user or password, which belong in files; use \"basic\"")
	case v.Fragment != "":
		return fmt.Errorf("it must not have a fragment")
	}
	return nil
}
