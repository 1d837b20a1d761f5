// Package syslog is the adaptor that receives syslog: over UDP, TCP, TLS and
// datagrams on a unix socket, RFC 5424 and RFC 3164 alike. It changes no byte
// of a message and understands no more of it than its priority; the demux
// parses it.
//
// What was read from a socket and is stored in the agent's spool is in the
// table exactly once. The adaptor closes a TCP or TLS connection that its
// sender has ended only when all that came by it is stored there. UDP promises
// nothing before that: datagrams that the kernel dropped are counted.
package syslog

import (
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/config"
)

// Config is the kind's own part of an adaptor's config.
type Config struct {
	Listen     []Address       `config:"listen,required"`
	TLS        *TLS            `config:"tls"`
	Types      []Rule          `config:"types"` // the first that fits names a message's data type
	MaxMessage config.Size     `config:"max_message" min:"480" max:"8MiB"`
	MaxConns   int             `config:"max_connections" min:"1" max:"65536"`
	Idle       config.Duration `config:"idle_timeout"` // 0: never
	ReadBuffer config.Size     `config:"rcvbuf" min:"4KiB" max:"1GiB"`

	roots adaptors.Roots
}

// TLS says how the tls:// listeners show themselves, and whom they let in.
type TLS struct {
	Cert     string `config:"cert,required"` // PEM files; read again when they change
	Key      string `config:"key,required"`
	ClientCA string `config:"client_ca"` // given: clients need a certificate signed by one of these
}

// DefaultConfig is what holds where a key is not given.
func DefaultConfig() Config {
	return Config{MaxMessage: 64 << 10, MaxConns: 1000, ReadBuffer: 8 << 20}
}

// Validate implements config.Validator.
func (c *Config) Validate(n config.Node) config.Problems {
	var out config.Problems
	if node := n.Get("listen"); node.Given() && len(c.Listen) == 0 && len(node.Items()) == 0 {
		out = append(out, node.Problemf("it is empty; want at least one %s", Address{}.Want()))
	}
	seen := map[string]bool{}
	secure := false
	for i, a := range c.Listen {
		if seen[a.String()] && a.port() != "0" {
			out = append(out, n.Get("listen").Items()[i].Problemf("%s is given twice", a))
		}
		seen[a.String()] = true
		secure = secure || a.network == "tls"
	}
	if secure && c.TLS == nil && !n.Get("tls").Given() {
		out = append(out, n.Problemf("key \"tls\" is missing; a tls:// listener needs its cert and key"))
	}
	if node := n.Get("tls"); node.Given() && !secure && len(c.Listen) > 0 {
		out = append(out, node.Problemf("no listener is a tls:// one"))
	}
	if d := c.Idle.Std(); d != 0 && d < time.Second {
		out = append(out, n.Get("idle_timeout").Problemf("%v is too short; at least 1s, or 0 for never", d))
	}
	return out
}

// Needs implements adaptors.Needer.
func (c *Config) Needs() []adaptors.Need {
	var out []adaptors.Need
	for _, a := range c.Listen {
		out = append(out, adaptors.Need{What: adaptors.Listen, Value: a.address})
	}
	if c.TLS != nil {
		for _, path := range []string{c.TLS.Cert, c.TLS.Key, c.TLS.ClientCA} {
			if path != "" {
				out = append(out, adaptors.Need{What: adaptors.File, Value: path})
			}
		}
	}
	return out
}

// SetRoots implements adaptors.Rooter.
func (c *Config) SetRoots(r adaptors.Roots) { c.roots = r }

// Kind describes the kind to the agent.
func Kind() adaptors.Kind {
	return adaptors.Make("syslog", "receives syslog over UDP, TCP, TLS and a unix socket",
		DefaultConfig, New)
}
