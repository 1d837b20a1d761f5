package agentd

import (
	"fmt"
	"strings"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/agentd/internal/overlap"
	"github.com/akupara/akupara/agentd/internal/supervise"
	"github.com/akupara/akupara/config"
)

// overlaps finds adaptors of one type whose patterns match the same files, for
// those from index first on. With look, it looks at the files that are there, too.
func overlaps(specs []supervise.Spec, first int, look bool) []overlap.Overlap {
	return overlap.Find(readers(specs), first, look)
}

func readers(specs []supervise.Spec) []overlap.Reader {
	out := make([]overlap.Reader, len(specs))
	for i := range specs {
		out[i] = overlap.Reader{Name: specs[i].Name, Type: specs[i].Type}
		if g, ok := specs[i].Config.(adaptors.Globber); ok && specs[i].Type != "" {
			out[i].Include, out[i].Exclude = g.Globs()
		}
	}
	return out
}

// example says which file it is that both match.
func example(o *overlap.Overlap) string {
	switch {
	case o.Other != "":
		return fmt.Sprintf("%s, which is %s", o.Path, o.Other)
	case o.Present:
		return o.Path + ", which is there"
	}
	return o.Path
}

// Warnings are what is right in a config, and perhaps not meant: adaptors of one
// type that want the same files, patterns that match none, and what config.Node's
// Doubts say. It looks at the files that are there.
func (c *Config) Warnings() config.Problems {
	var out config.Problems
	for _, o := range overlaps(c.specs, 0, true) {
		out = append(out, c.Adaptors[o.Second].Problemf(
			"warning: adaptor %q, by %q, matches files that adaptor %q of the same type matches, too, such as %s: one of them reads each such file, the other lists it as skipped",
			c.specs[o.Second].Name, o.Pattern, c.specs[o.First].Name, example(&o)))
	}
	for _, u := range overlap.FindNone(readers(c.specs)) {
		if strings.HasPrefix(u.Pattern, "~") {
			continue // that says why
		}
		for _, p := range c.Adaptors[u.Reader].Get("paths").Items() { // other kinds' folders are empty when all is well
			if p.Text() == u.Pattern {
				out = append(out, p.Problemf("warning: adaptor %q: no file that this user can see matches %s now", c.specs[u.Reader].Name, u.Pattern))
			}
		}
	}
	out = append(out, c.node.Doubts()...)
	return out
}

// warn logs what Warnings says of a config, of the adaptors from index first on.
func (f *fleet) warn(specs []supervise.Spec, first int, look bool) {
	for _, o := range overlaps(specs, first, look) {
		f.log.Warn("two adaptors of one type match the same files: one of them reads each such file, the other lists it as skipped",
			"adaptor", specs[o.Second].Name, "other", specs[o.First].Name, "type", specs[o.Second].Type,
			"pattern", o.Pattern, "example", example(&o))
	}
}
