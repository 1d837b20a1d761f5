// Package metrics is the adaptor that samples this machine: cpu, memory, load,
// disk and network, each under a data type of that name. A sample is one JSON
// object a line: one per processor, disk or interface where there are several.
package metrics

import (
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/config"
)

// Config is the kind's own part of an adaptor's config.
type Config struct {
	Every config.Duration `config:"every" min:"100ms"`
	Only  []string        `config:"only" oneof:"cpu|memory|load|disk|network"` // empty: all
}

// DefaultConfig is what holds where a key is not given.
func DefaultConfig() Config { return Config{Every: config.Duration(10 * time.Second)} }

// Types are the data types that the kind emits.
func Types() []string {
	var out []string
	for _, s := range samplers() {
		out = append(out, s.dataType)
	}
	return out
}

// Needs implements adaptors.Needer: nothing outside of the agent that could be
// refused.
func (c *Config) Needs() []adaptors.Need { return nil }

// Kind describes the kind to the agent.
func Kind() adaptors.Kind {
	return adaptors.Make("metrics", "samples cpu, memory, load, disk and network of this machine",
		DefaultConfig, New, adaptors.OwnTypes)
}
