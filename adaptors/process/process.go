// Package process is the adaptor that samples this machine's processes: at
// intervals, the ones that used most processor time and those with most
// memory. Each is one JSON object a line, of the data type process.
package process

import (
	"strings"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/config"
)

// Type is the data type of the kind's records.
const Type = "process"

// Config is the kind's own part of an adaptor's config.
type Config struct {
	Every   config.Duration `config:"every" min:"500ms"`
	Top     int             `config:"top" min:"1" max:"1000"` // by processor time, and as many by memory
	Match   config.Regexp   `config:"match"`                  // that names must match
	Cmdline config.Size     `config:"cmdline" max:"16KiB"`    // bytes of a command line that are kept; 0: it is left out
	Proc    string          `config:"proc"`                   // where the kernel's process file system is
	Passwd  string          `config:"passwd"`                 // where users' names are

	roots adaptors.Roots
}

// DefaultConfig is what holds where a key is not given.
func DefaultConfig() Config {
	return Config{Every: config.Duration(10 * time.Second), Top: 10, Cmdline: 512, Proc: "/proc", Passwd: "/etc/passwd"}
}

// Validate implements config.Validator.
func (c *Config) Validate(n config.Node) config.Problems {
	var out config.Problems
	for key, path := range map[string]string{"proc": c.Proc, "passwd": c.Passwd} {
		if !strings.HasPrefix(path, "/") {
			out = append(out, n.Get(key).Problemf("%q is not a path that starts with /", path))
		}
	}
	return out
}

// Needs implements adaptors.Needer: the usual files need no permission.
func (c *Config) Needs() []adaptors.Need {
	var out []adaptors.Need
	for _, path := range c.unusual() {
		out = append(out, adaptors.Need{What: adaptors.File, Value: path})
	}
	return out
}

// SetRoots implements adaptors.Rooter.
func (c *Config) SetRoots(r adaptors.Roots) { c.roots = r }

// unusual returns the paths that are not the default ones.
func (c *Config) unusual() []string {
	var out []string
	usual := DefaultConfig()
	if c.Proc != usual.Proc {
		out = append(out, c.Proc)
	}
	if c.Passwd != usual.Passwd {
		out = append(out, c.Passwd)
	}
	return out
}

// Kind describes the kind to the agent.
func Kind() adaptors.Kind {
	return adaptors.Make("process", "samples the processes that use most processor time and memory",
		DefaultConfig, New, adaptors.OwnTypes)
}
