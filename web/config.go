package web

import (
	"net"
	"strings"
	"time"

	"github.com/akupara/akupara/agentd/client"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/query"
)

// Config is the config's section "web". Start from DefaultConfig.
type Config struct {
	// Listen is on loopback or a unix socket: there is no TLS yet.
	Listen config.Addr `config:"listen"`
	// TokenFile is of the token that requests have to carry; without one whoever
	// reaches the address may use it.
	TokenFile string `config:"token_file"`
	// Demux is where the demux listens (demux.listen); without it there are no
	// schedules, and runs are those that the tables remember.
	Demux          config.Addr `config:"demux"`
	DemuxTokenFile string      `config:"demux_token_file"` // of the token that the demux asks for
	// Agents are those whose REST API is passed on; no others are.
	Agents []Agent `config:"agents"`

	Timeout config.Duration `config:"timeout" min:"1s" max:"1h"` // of one query
	Queries int             `config:"queries" min:"1" max:"256"` // at one time; more are refused with 429
	MaxRows int64           `config:"max_rows" min:"1"`          // of one result
	Memory  config.Size     `config:"memory" min:"64MiB"`        // of all queries together
	Cache   config.Size     `config:"cache" min:"64MiB"`         // of data files on the local disk
}

// Agent is an agent that is known by a host's name. Whoever can ask the web
// part can ask the agents: it has their tokens, and its users have not.
type Agent struct {
	Host      string         `config:"host,required"`
	URL       client.Address `config:"url,required"` // http://…, https://… or unix:/…
	TokenFile string         `config:"token_file"`   // of the token that the agent asks for
	CA        string         `config:"ca"`           // PEM file that its certificate is checked against; not given: the system's
	Cert      string         `config:"cert"`         // PEM file of a client certificate
	Key       string         `config:"key"`          // and of its key
}

func (a *Agent) options() client.Options {
	return client.Options{Address: string(a.URL), TokenFile: a.TokenFile, CA: a.CA, Cert: a.Cert, Key: a.Key}
}

// DefaultConfig is what holds where the config says nothing.
func DefaultConfig() Config {
	return Config{
		Listen:  "127.0.0.1:9772",
		Timeout: config.Duration(5 * time.Minute),
		Queries: 4,
		MaxRows: 10_000_000,
		Memory:  1 << 30,
		Cache:   10 << 30,
	}
}

// Validate implements config.Validator.
func (c *Config) Validate(n config.Node) config.Problems {
	var problems config.Problems
	if network, address := c.Listen.Split(); network == "tcp" && !isLoopback(address) {
		problems = append(problems, n.Get("listen").Problemf(
			"web.listen: %q is no loopback address; allowed until there is authentication: 127.0.0.1:PORT, [::1]:PORT, localhost:PORT or unix:/PATH", c.Listen))
	}
	seen := map[string]bool{}
	for i, a := range c.Agents {
		if seen[a.Host] {
			problems = append(problems, n.Get("agents").Problemf("web.agents[%d].host: %q is there twice; want each host once", i, a.Host))
		}
		seen[a.Host] = true
		if plain := !strings.HasPrefix(string(a.URL), "https://"); plain && a.CA+a.Cert+a.Key != "" {
			problems = append(problems, n.Get("agents").Problemf("web.agents[%d]: ca, cert and key are for URLs that start with https://, and its url is %q", i, a.URL))
		}
		if (a.Cert == "") != (a.Key == "") {
			problems = append(problems, n.Get("agents").Problemf("web.agents[%d]: cert and key go together; one of them is missing", i))
		}
	}
	return problems
}

func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// QueryOptions are the options of an engine for this config.
func (c *Config) QueryOptions(cacheDir string) query.Options {
	return query.Options{
		CacheDir: cacheDir, CacheBytes: int64(c.Cache), MemoryLimit: int64(c.Memory),
		Timeout: c.Timeout.Std(), MaxRows: c.MaxRows,
	}
}
