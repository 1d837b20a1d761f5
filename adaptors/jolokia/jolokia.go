// Package jolokia is the adaptor that reads MBeans' attributes of Java
// applications at intervals: JMX over HTTP and JSON, as Jolokia offers it
// (jolokia.org, protocol 7 and 8). Each MBean gives one JSON object a line.
package jolokia

import (
	"fmt"
	"strings"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/fetch"
	"github.com/akupara/akupara/config"
)

// Config is the kind's own part of an adaptor's config.
type Config struct {
	URLs          []fetch.URL     `config:"urls,required"` // of Jolokia agents
	Every         config.Duration `config:"every" min:"100ms"`
	MBeans        []MBean         `config:"mbeans,required"`
	MaxDepth      int             `config:"max_depth" min:"1" max:"15"`          // of what attributes hold
	MaxCollection int             `config:"max_collection" min:"1" max:"100000"` // elements of a list or map in an attribute
	fetch.Config
}

// MBean is what is read of one MBean, or of all that match.
type MBean struct {
	Name       string   `config:"mbean,required"` // an object name, or a pattern with * and ?
	Attributes []string `config:"attributes"`     // none: all
	Path       string   `config:"path"`           // within the one attribute, with slashes between
}

// DefaultConfig is what holds where a key is not given.
func DefaultConfig() Config {
	return Config{Every: config.Duration(30 * time.Second), MaxDepth: 5, MaxCollection: 1000, Config: fetch.DefaultConfig()}
}

// Bounds on a config.
const (
	maxURLs   = 100
	maxMBeans = 200
	maxText   = 1024 // bytes of a name
)

// Validate implements config.Validator.
func (c *Config) Validate(n config.Node) config.Problems {
	out := c.Check(n)
	urls, mbeans := n.Get("urls"), n.Get("mbeans")
	if urls.Given() && (len(c.URLs) == 0 || len(c.URLs) > maxURLs) {
		out = append(out, urls.Problemf("%d URLs; from 1 to %d are allowed", len(c.URLs), maxURLs))
	}
	if mbeans.Given() && (len(c.MBeans) == 0 || len(c.MBeans) > maxMBeans) {
		out = append(out, mbeans.Problemf("%d entries; from 1 to %d are allowed", len(c.MBeans), maxMBeans))
	}
	return out
}

// Validate implements config.Validator.
func (m *MBean) Validate(n config.Node) config.Problems {
	if err := m.check(); err != nil {
		return config.Problems{n.Problemf("%v", err)}
	}
	return nil
}

func (m *MBean) check() error {
	if err := checkName(m.Name); err != nil {
		return fmt.Errorf("mbean %q: %w", m.Name, err)
	}
	for _, a := range m.Attributes {
		if a == "" || len(a) > maxText {
			return fmt.Errorf("attribute %q: a name has from 1 to %d bytes", a, maxText)
		}
	}
	if m.Path != "" {
		switch {
		case len(m.Attributes) != 1:
			return fmt.Errorf("path %q: it leads into one attribute; %d are named", m.Path, len(m.Attributes))
		case m.pattern():
			return fmt.Errorf("path %q: it is of use with one MBean; %q may be several", m.Path, m.Name)
		case len(m.Path) > maxText || strings.Contains("/"+m.Path+"/", "//"):
			return fmt.Errorf("path %q: want keys with single slashes between, such as used or a/b", m.Path)
		}
	}
	return nil
}

// pattern reports whether the name may stand for several MBeans.
func (m *MBean) pattern() bool { return strings.ContainsAny(m.Name, "*?") }

// checkName reports whether s may be an object name (javax.management.ObjectName):
// a domain, and at least one key with its value, or a star for any.
func checkName(s string) error {
	domain, keys, found := strings.Cut(s, ":")
	switch {
	case !found || keys == "":
		return fmt.Errorf("want an object name, such as java.lang:type=Memory")
	case len(s) > maxText:
		return fmt.Errorf("it has %d bytes; at most %d are allowed", len(s), maxText)
	case strings.ContainsAny(s, "\n\r"), strings.ContainsAny(domain, "/"):
		return fmt.Errorf("it has a line end, or a slash in its domain")
	}
	first, _, _ := strings.Cut(keys, ",")
	if key, _, assigned := strings.Cut(first, "="); first != "*" && (!assigned || key == "") {
		return fmt.Errorf("%q is no key with a value, such as type=Memory", first)
	}
	return nil
}

// Needs implements adaptors.Needer.
func (c *Config) Needs() []adaptors.Need {
	var out []adaptors.Need
	for _, u := range c.URLs {
		out = append(out, adaptors.Need{What: adaptors.URL, Value: string(u)})
	}
	for _, f := range c.Files() {
		out = append(out, adaptors.Need{What: adaptors.File, Value: f})
	}
	return out
}

// SetRoots implements adaptors.Rooter.
func (c *Config) SetRoots(r adaptors.Roots) { c.Bind(r) }

// Kind describes the kind to the agent.
func Kind() adaptors.Kind {
	return adaptors.Make("jolokia", "reads MBeans' attributes of Java applications at intervals, through Jolokia",
		DefaultConfig, New)
}
