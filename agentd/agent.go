// Package agentd is the agent: it runs adaptors, batches and compresses what
// they read, posts it to a collector, and moves a checkpoint only over what a
// collector has told to be settled.
package agentd

import (
	"context"
	"errors"
	"log/slog"

	"github.com/akupara/akupara/adaptors"
	"github.com/prometheus/client_golang/prometheus"
)

// Deps is what the agent is given by its process.
type Deps struct {
	Dir      string // the agent's own data directory: checkpoints and spool lie in it
	Kinds    []adaptors.Kind
	Log      *slog.Logger
	Registry *prometheus.Registry // nil: the agent makes its own
}

// Agent is one agent.
type Agent struct {
	cfg  Config
	deps Deps
}

// New checks what it is given and starts nothing.
func New(cfg Config, deps Deps) (*Agent, error) { return &Agent{cfg: cfg, deps: deps}, nil }

// Run works until ctx is done; then it drains, writes its checkpoints and
// returns. It waits for collectors that are away, however long.
func (a *Agent) Run(ctx context.Context) error { return errors.New("not there yet") }

// Listening is closed when the REST API takes requests.
func (a *Agent) Listening() <-chan struct{} { return nil }

// Addr is where the REST API listens, once Listening is closed: it tells the
// port where the config says 0.
func (a *Agent) Addr() string { return "" }
