// Package collectord is the collector: it takes batches from agents, keeps
// them in a spool on its own disk until they lie in the store as sink files,
// and tells agents how far each batch has come.
package collectord

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/akupara/akupara/store"
)

// Collector is one collector over one data directory.
type Collector struct {
}

// New prepares a collector that keeps its spool in dataDir/collector and
// publishes into fs. It validates, touches nothing outside and starts nothing.
// Metrics are registered in reg.
func New(cfg Config, fs store.FS, dataDir string, log *slog.Logger, reg *prometheus.Registry) (*Collector, error) {
	return nil, errors.New("not built yet")
}

// Run opens the spool, repairs what a crash left, listens and works until ctx
// is done. Then it fails readyz, refuses new work, finishes what is in flight,
// seals, uploads under a deadline and returns nil; the rest stays in the spool.
// It fails when the data directory is in use or broken, or the address is
// taken; never because the store is away.
func (c *Collector) Run(ctx context.Context) error { return nil }

// Started is closed once the collector listens.
func (c *Collector) Started() <-chan struct{} { return nil }

// Addr is the address that the collector listens on, "" before Started.
func (c *Collector) Addr() string { return "" }

// Handler is the collector's HTTP API, for tests without a listener. It works
// only while Run runs.
func (c *Collector) Handler() http.Handler { return nil }

// Status is what the spool holds now. It is also served at GET /v1/status.
func (c *Collector) Status() Status { return Status{} }

// Status tells what a collector has taken and not yet published.
type Status struct {
	Collector        string  `json:"collector"`
	OpenSegments     int     `json:"open_segments"`
	SealedSegments   int     `json:"sealed_segments"`    // waiting for the store
	WaitingBytes     int64   `json:"waiting_bytes"`      // in open and sealed segments
	OldestAgeSeconds float64 `json:"oldest_age_seconds"` // since the oldest of them was opened
	QuarantinedBytes int64   `json:"quarantined_bytes"`  // in the quarantine directory
	Ready            string  `json:"ready"`              // "ok", or why no data is taken
	LastUploadError  string  `json:"last_upload_error,omitempty"`
}
