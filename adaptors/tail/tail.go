// Package tail is the adaptor that follows files: all that match its paths,
// through renames, truncation and deletion, also those that happened while it
// was not running, each byte of each file once.
//
// One goroutine (run.go) looks at files (look.go; internal/find says which there
// are), decides what each is (judge in match.go gives a verdict; copies.go,
// replace.go, past.go and cutback.go are what it asks) and does what follows
// (apply.go; leave.go where a stream loses its file). catalog.go is what it knows
// of files, share.go what it has to do with other adaptors, origin.go what a
// stream is named by, queue.go whose turn it is. A few goroutines read (read.go, finish.go), each one stream at a time;
// internal/cut says where records end.
//
// Known limits are listed in README.md, together with the test of each hazard.
package tail

import (
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/cut"
	"github.com/akupara/akupara/chunk/charset"
	"github.com/akupara/akupara/config"
)

// Config is the kind's own part of an adaptor's config.
type Config struct {
	Paths       []config.Glob   `config:"paths,required"`
	Exclude     []config.Glob   `config:"exclude"`
	Start       string          `config:"start" oneof:"beginning|end"` // of files present at the very first start
	IgnoreOlder config.Duration `config:"ignore_older"`                // files that did not change for so long wait until they do; 0: none
	cut.Config                  // where records end
	MaxRecord   config.Size     `config:"max_record" min:"4KiB" max:"8MiB"` // longer records are kept in parts
	Encoding    charset.Choice  `config:"encoding"`                         // of the files' text
	Watch       string          `config:"watch" oneof:"auto|poll"`
	Rescan      config.Duration `config:"rescan" min:"10ms"` // how often all folders are looked through

	roots adaptors.Roots // nil: no bound
}

// Needs implements adaptors.Needer.
func (c *Config) Needs() []adaptors.Need {
	needs := make([]adaptors.Need, len(c.Paths))
	for i, p := range c.Paths {
		needs[i] = adaptors.Need{What: adaptors.File, Value: string(p)}
	}
	return needs
}

// Globs implements adaptors.Globber.
func (c *Config) Globs() (include, exclude []string) {
	for _, p := range c.Paths {
		include = append(include, string(p))
	}
	for _, p := range c.Exclude {
		exclude = append(exclude, string(p))
	}
	return include, exclude
}

// SetRoots implements adaptors.Rooter.
func (c *Config) SetRoots(r adaptors.Roots) { c.roots = r }

// DefaultConfig is what holds where a key is not given.
func DefaultConfig() Config {
	return Config{
		Start:     "beginning",
		Config:    cut.Config{RecordTimeout: config.Duration(cut.DefaultTimeout)},
		MaxRecord: 1 << 20,
		Watch:     "auto",
		Rescan:    config.Duration(10 * time.Second),
	}
}

// Validate implements config.Validator.
func (c *Config) Validate(n config.Node) config.Problems {
	out := c.Config.Validate(n)
	if paths := n.Get("paths"); paths.Given() && len(c.Paths) == 0 {
		out = append(out, paths.Problemf("it is empty; want at least one path pattern"))
	}
	return out
}

// Kind describes the kind to the agent.
func Kind() adaptors.Kind {
	return adaptors.Make("tail", "follows files through renames, truncation and deletion",
		DefaultConfig, New, adaptors.Rewindable, adaptors.Retypes)
}
