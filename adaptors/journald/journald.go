// Package journald is the adaptor that reads the systemd journal, through
// journalctl's JSON output.
//
// Its stream is lines of JSON, one for each entry, in a form of their own: the
// keys sorted, only what is stored with the entry, and so the same bytes
// whenever the entry is read. What stands at an offset can therefore be
// produced again: with the stream, pairs of an offset and the cursor of the
// entry before it are stored before anything is sent, together with the
// checksum of all bytes before. What was sent and not settled is produced from
// the nearest pair. Where the journal has forgotten entries or gives others
// than before, that is told as lost; where it has forgotten the last one that
// was read, a new stream begins.
package journald

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/config"
)

// Config is the kind's own part of an adaptor's config.
type Config struct {
	Journalctl  string        `config:"program"`
	Directory   string        `config:"directory"`
	Files       []config.Glob `config:"files"`
	Namespace   string        `config:"namespace"`
	Units       []string      `config:"units"`
	Identifiers []string      `config:"identifiers"`
	Priority    string        `config:"priority"`
	Matches     []string      `config:"matches"`
	Start       string        `config:"start" oneof:"beginning|end"`
	MaxField    config.Size   `config:"max_field" min:"1KiB" max:"1MiB"`

	roots adaptors.Roots
}

// DefaultConfig is what holds where a key is not given.
func DefaultConfig() Config {
	return Config{Journalctl: "journalctl", Start: "beginning", MaxField: 64 << 10}
}

// maxArgs bounds the bytes of journalctl's arguments: they are stored with each
// stream.
const maxArgs = 16 << 10

var (
	priorityRE = regexp.MustCompile(`^(emerg|alert|crit|err|warning|notice|info|debug|[0-7])(\.\.(emerg|alert|crit|err|warning|notice|info|debug|[0-7]))?$`)
	matchRE    = regexp.MustCompile(`^[A-Z0-9_]{1,64}=`)
)

// Validate implements config.Validator.
func (c *Config) Validate(n config.Node) config.Problems {
	var out config.Problems
	if c.Journalctl == "" {
		out = append(out, n.Get("program").Problemf("it is empty; want a program, such as journalctl or /usr/bin/journalctl"))
	}
	if node := n.Get("priority"); node.Given() && !priorityRE.MatchString(c.Priority) {
		out = append(out, node.Problemf("%q is no priority; want emerg, alert, crit, err, warning, notice, info, debug or 0 to 7, or a range such as emerg..err", c.Priority))
	}
	for i, item := range n.Get("matches").Items() {
		if i < len(c.Matches) && !matchRE.MatchString(c.Matches[i]) {
			out = append(out, item.Problemf("%q is no match; want FIELD=value, such as _UID=0", c.Matches[i]))
		}
	}
	if size := len(strings.Join(c.args(), " ")); size > maxArgs {
		out = append(out, n.Problemf("the options that choose entries have %d bytes; at most %d are allowed", size, maxArgs))
	}
	given := 0
	for _, key := range []string{"directory", "files", "namespace"} {
		if n.Get(key).Given() {
			given++
		}
	}
	if given > 1 {
		out = append(out, n.Problemf("directory, files and namespace exclude each other"))
	}
	if c.Directory != "" && !filepath.IsAbs(c.Directory) {
		out = append(out, n.Get("directory").Problemf("%q must start with /", c.Directory))
	}
	for i, g := range c.Files {
		if !filepath.IsAbs(string(g)) {
			out = append(out, n.Get("files").Items()[i].Problemf("%q must start with /", g))
		}
	}
	return out
}

// Needs implements adaptors.Needer.
func (c *Config) Needs() []adaptors.Need {
	out := []adaptors.Need{{What: adaptors.Program, Value: c.Journalctl}}
	if c.Directory != "" {
		out = append(out, adaptors.Need{What: adaptors.File, Value: c.Directory})
	}
	for _, g := range c.Files {
		out = append(out, adaptors.Need{What: adaptors.File, Value: string(g)})
	}
	return out
}

// SetRoots implements adaptors.Rooter.
func (c *Config) SetRoots(r adaptors.Roots) { c.roots = r }

// args are journalctl's arguments that say which entries there are. They are
// stored with a stream: with others, its bytes would be others.
func (c *Config) args() []string {
	out := []string{"--output=json", "--all", "--no-pager", "--quiet"}
	if c.Directory != "" {
		out = append(out, "--directory="+c.Directory)
	}
	for _, g := range c.Files {
		out = append(out, "--file="+string(g))
	}
	if c.Namespace != "" {
		out = append(out, "--namespace="+c.Namespace)
	}
	for _, u := range c.Units {
		out = append(out, "--unit="+u)
	}
	for _, id := range c.Identifiers {
		out = append(out, "--identifier="+id)
	}
	if c.Priority != "" {
		out = append(out, "--priority="+c.Priority)
	}
	return append(out, c.Matches...)
}

// source is what the chunks have as source.
func (c *Config) source() string {
	switch {
	case c.Directory != "":
		return "journal " + c.Directory
	case len(c.Files) > 0:
		names := make([]string, len(c.Files))
		for i, g := range c.Files {
			names[i] = string(g)
		}
		s := "journal " + strings.Join(names, " ")
		return strings.ToValidUTF8(s[:min(len(s), 4096)], "")
	case c.Namespace != "":
		return "journal of namespace " + c.Namespace
	}
	return "journal"
}

// Kind describes the kind to the agent.
func Kind() adaptors.Kind {
	return adaptors.Make("journald", "reads the systemd journal",
		DefaultConfig, New, adaptors.Rewindable)
}
