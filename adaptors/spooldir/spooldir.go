// Package spooldir is the adaptor of kind spool_dir: whole files that are put
// into a folder are read once, to their end, and then kept, moved or deleted,
// once every byte of them is settled.
//
// Each file is a stream. What is stored of it tells the file again after a
// restart: inode, birth, size, time, and fingerprints of its head and its end;
// it is kept as long as the file is there, so that no file is read twice. One
// goroutine does everything, one file at a time, the oldest first.
//
// Known limits. Folders below the configured ones are not looked into. Without
// inotify, a file that is deleted and created again with the same bytes, inode
// and times is taken for the old one. A file that leaves its folder for more
// than ten minutes and comes back is read again. Of a file that is changed in
// place after it was read, the change is reported and not read.
package spooldir

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/cut"
	"github.com/akupara/akupara/chunk/charset"
	"github.com/akupara/akupara/config"
)

// Config is the kind's own part of an adaptor's config.
type Config struct {
	Folders     []string        `config:"folders,required"`
	Include     []config.Glob   `config:"include"`           // names of files that are read
	Ignore      []config.Glob   `config:"ignore"`            // names of files that are not, or not yet
	Settle      config.Duration `config:"settle" min:"10ms"` // a file not changed for so long is complete
	After       string          `config:"after" oneof:"keep|move|delete"`
	MoveTo      string          `config:"move_to"`
	cut.Config                  // where records end
	MaxRecord   config.Size     `config:"max_record" min:"4KiB" max:"8MiB"`
	Encoding    charset.Choice  `config:"encoding"`
	MaxUnpacked config.Size     `config:"max_unpacked" min:"1MiB"` // bytes of a compressed file's content
	Watch       string          `config:"watch" oneof:"auto|poll"`
	Rescan      config.Duration `config:"rescan" min:"10ms"`

	roots   adaptors.Roots // nil: no bound
	changes adaptors.Roots // that files are moved and deleted in; nil: no bound
}

// DefaultConfig is what holds where a key is not given.
func DefaultConfig() Config {
	return Config{
		Include: []config.Glob{"*"},
		// Hidden files and what writers name their unfinished ones.
		Ignore:      []config.Glob{".*", "*.tmp", "*.temp", "*.part", "*.partial", "*.filepart", "*.crdownload", "*.swp", "*~"},
		Settle:      config.Duration(5 * time.Second),
		After:       "keep",
		Config:      cut.Config{RecordTimeout: config.Duration(cut.DefaultTimeout)},
		MaxRecord:   1 << 20,
		MaxUnpacked: 10 << 30,
		Watch:       "auto",
		Rescan:      config.Duration(10 * time.Second),
	}
}

// Validate implements config.Validator.
func (c *Config) Validate(n config.Node) config.Problems {
	out := c.Config.Validate(n)
	if node := n.Get("folders"); node.Given() && len(c.Folders) == 0 && len(node.Items()) == 0 {
		out = append(out, node.Problemf("it is empty; want at least one folder"))
	}
	for i, dir := range c.Folders {
		if !filepath.IsAbs(dir) {
			out = append(out, n.Get("folders").Items()[i].Problemf("%q must start with /", dir))
		}
	}
	if node := n.Get("record_timeout"); node.Given() {
		out = append(out, node.Problemf("a file is complete when it is read: no record waits for a time-out"))
	}
	for _, key := range []string{"include", "ignore"} {
		for _, item := range n.Get(key).Items() {
			if strings.Contains(item.Text(), "/") {
				out = append(out, item.Problemf("%q: the names of files have no /", item.Text()))
			}
		}
	}
	to := n.Get("move_to")
	switch {
	case c.After == "move" && c.MoveTo == "" && !to.Given():
		out = append(out, n.Problemf("key \"move_to\" is missing; after: move needs it"))
	case c.After != "move" && to.Given():
		out = append(out, to.Problemf("it is used with after: move alone"))
	case c.MoveTo != "" && !filepath.IsAbs(c.MoveTo):
		out = append(out, to.Problemf("%q must start with /", c.MoveTo))
	}
	for _, dir := range c.Folders {
		if c.MoveTo != "" && filepath.Clean(dir) == filepath.Clean(c.MoveTo) {
			out = append(out, to.Problemf("%q is one of the folders that are read", c.MoveTo))
		}
	}
	return out
}

// Needs implements adaptors.Needer.
func (c *Config) Needs() []adaptors.Need {
	var out []adaptors.Need
	for _, dir := range c.Folders {
		dir = filepath.Clean(dir)
		out = append(out, adaptors.Need{What: adaptors.File, Value: filepath.Join(dir, "*")})
		if c.After != "keep" {
			out = append(out, adaptors.Need{What: adaptors.Change, Value: dir})
		}
	}
	if c.MoveTo != "" {
		out = append(out, adaptors.Need{What: adaptors.Change, Value: filepath.Clean(c.MoveTo)})
	}
	return out
}

// Globs implements adaptors.Globber.
func (c *Config) Globs() (include, exclude []string) {
	for _, dir := range c.Folders {
		for _, name := range c.Include {
			include = append(include, filepath.Join(dir, string(name)))
		}
		for _, name := range c.Ignore {
			exclude = append(exclude, filepath.Join(dir, string(name)))
		}
	}
	return include, exclude
}

// SetRoots implements adaptors.Rooter.
func (c *Config) SetRoots(r adaptors.Roots) { c.roots = r }

// SetChangeRoots implements adaptors.Changer.
func (c *Config) SetChangeRoots(r adaptors.Roots) { c.changes = r }

// Kind describes the kind to the agent.
func Kind() adaptors.Kind {
	return adaptors.Make("spool_dir", "reads whole files that are put into a folder, then keeps, moves or deletes them",
		DefaultConfig, New, adaptors.Rewindable)
}
