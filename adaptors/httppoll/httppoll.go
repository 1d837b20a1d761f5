// Package httppoll is the adaptor that asks URLs at intervals. What a server
// answers is kept as it is: each answer a record, each of its lines, or each
// element of a JSON array.
package httppoll

import (
	"strings"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/fetch"
	"github.com/akupara/akupara/config"
)

// Config is the kind's own part of an adaptor's config.
type Config struct {
	URLs         []fetch.URL     `config:"urls,required"`
	Every        config.Duration `config:"every" min:"100ms"`
	Split        string          `config:"split" oneof:"whole|lines|array"` // what a record is
	Items        string          `config:"items"`                           // keys to the array in an answer, with dots between
	OnlyChanged  bool            `config:"only_changed"`                    // no record of an answer that is as it was before
	ReportErrors bool            `config:"report_errors"`                   // a record of a poll that failed, too
	fetch.Config
}

// DefaultConfig is what holds where a key is not given.
func DefaultConfig() Config {
	return Config{Every: config.Duration(30 * time.Second), Split: "whole", Config: fetch.DefaultConfig()}
}

// maxURLs bounds the URLs of an adaptor.
const maxURLs = 100

// Validate implements config.Validator.
func (c *Config) Validate(n config.Node) config.Problems {
	out := c.Check(n)
	urls := n.Get("urls")
	if urls.Given() && (len(c.URLs) == 0 || len(c.URLs) > maxURLs) {
		out = append(out, urls.Problemf("%d URLs; from 1 to %d are allowed", len(c.URLs), maxURLs))
	}
	seen := map[fetch.URL]bool{}
	for i, item := range urls.Items() {
		if i < len(c.URLs) && c.URLs[i] != "" && seen[c.URLs[i]] {
			out = append(out, item.Problemf("%q is given twice", c.URLs[i]))
		}
		if i < len(c.URLs) {
			seen[c.URLs[i]] = true
		}
	}
	if items := n.Get("items"); items.Given() {
		if c.Split != "array" {
			out = append(out, items.Problemf("it is of use with \"split: array\" alone"))
		}
		for _, key := range strings.Split(c.Items, ".") {
			if key == "" {
				out = append(out, items.Problemf("%q has an empty key; want keys with dots between, such as data.items", c.Items))
				break
			}
		}
	}
	return out
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
	return adaptors.Make("http_poll", "asks URLs at intervals, for JSON, Prometheus' metrics or text",
		DefaultConfig, New)
}
