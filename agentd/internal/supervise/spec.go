// Package supervise runs the agent's adaptors: each in a goroutine of its own,
// started again with backoff when it fails, stopped and started by people. One
// that fails never stops the others.
package supervise

import (
	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/agentd/internal/spool"
)

// Spec is one adaptor as configured.
type Spec struct {
	Name     string
	Kind     adaptors.Kind
	Type     string            // data type; empty where the kind sets its own
	Tags     map[string]string // for all its chunks
	WhenFull spool.WhenFull    // for kinds that are not replayable
	Config   any               // what Kind.NewConfig gave, decoded
}

// Program is the program that the adaptor runs, where its kind runs one.
func (s *Spec) Program() (string, bool) {
	if p, ok := s.Config.(interface{ Program() string }); ok {
		return p.Program(), true
	}
	return "", false
}
