// Package command is the adaptor that runs a program, without a shell: at
// intervals, each run's output one record; or for ever, its lines records.
package command

import (
	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/cut"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// Config is the kind's own part of an adaptor's config.
type Config struct {
	Command []string        `config:"command,required"`                  // program and arguments
	Every   config.Duration `config:"every" min:"100ms"`                 // from start to start; not given: the program runs for ever
	Timeout config.Duration `config:"timeout" min:"10ms"`                // of one run; not given: Every, at least a minute; not for programs that run for ever
	Max     config.Size     `config:"max_output" min:"1KiB" max:"16MiB"` // bytes of a run's output that are kept, and of a record of several lines or one

	cut.Config // where records end in the output of a program that runs for ever
}

// Validate implements config.Validator.
func (c *Config) Validate(n config.Node) config.Problems {
	out := c.Config.Validate(n)
	for _, key := range []string{"record_start", "record_end", "record_indented", "record_timeout"} {
		if node := n.Get(key); node.Given() && n.Get("every").Given() {
			out = append(out, node.Problemf("with \"every\" each run is one record; it is for programs that run for ever"))
		}
	}
	if node := n.Get("command"); node.Given() && (len(c.Command) == 0 || c.Command[0] == "") {
		out = append(out, node.Problemf("it names no program; want [program, argument, …]"))
	}
	if node := n.Get("timeout"); node.Given() && !n.Get("every").Given() {
		out = append(out, node.Problemf("a program without \"every\" runs for ever"))
	}
	return out
}

// Needs implements adaptors.Needer.
func (c *Config) Needs() []adaptors.Need {
	return []adaptors.Need{{What: adaptors.Program, Value: c.program()}}
}

// program is what is run.
func (c *Config) program() string {
	if len(c.Command) == 0 {
		return ""
	}
	return c.Command[0]
}

// DefaultConfig is what holds where a key is not given.
func DefaultConfig() Config {
	return Config{Max: chunk.MaxBody, Config: cut.Config{RecordTimeout: config.Duration(cut.DefaultTimeout)}}
}

// Kind describes the kind to the agent.
func Kind() adaptors.Kind {
	return adaptors.Make("command", "runs a program at intervals, or for ever",
		DefaultConfig, New)
}
