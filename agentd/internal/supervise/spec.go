// Package supervise runs the agent's adaptors: each in a goroutine of its own,
// started again with backoff when it fails, stopped and started by people. One
// that fails never stops the others.
package supervise

import (
	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/agentd/internal/filter"
	"github.com/akupara/akupara/agentd/internal/ledger"
	"github.com/akupara/akupara/agentd/internal/spool"
)

// Spec is one adaptor as configured.
type Spec struct {
	Name     string
	Kind     adaptors.Kind
	Type     string            // data type; empty where the kind sets its own
	Tags     map[string]string // for all its chunks
	WhenFull spool.WhenFull    // for kinds that are not replayable
	Persona  string            // whose way out it takes; empty: the agent's own
	Delivery ledger.Level      // as configured; SetDelivery changes it while it runs
	Filter   filter.Config
	Config   any // what Kind.NewConfig gave, decoded

	Roots adaptors.Roots // that the adaptor is bound to; nil: to none

	// Retune changes these while the adaptor runs, and Delivery.

	Entry      any    // the entry as it was written, for people
	Origin     string // where it was written: "config" or "rest"
	Generation int    // of the config that was applied when the entry last changed
}
