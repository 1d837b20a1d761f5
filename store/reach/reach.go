// Package reach finds out whether a store answers, again and again, for those who
// have to say so: readiness, logs and metrics.
package reach

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/store"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

const (
	every     = 5 * time.Second  // between two tries
	tryWithin = 10 * time.Second // that one may take
)

// Reach knows whether a store answers. It is safe for concurrent use.
type Reach struct {
	fs  store.FS
	uri string
	log *slog.Logger

	mu    sync.Mutex
	tried bool
	since time.Time // when it was first found away
	err   error
}

// New makes one for the store at uri; it touches nothing before Run.
func New(st store.FS, uri string, log *slog.Logger) *Reach {
	return &Reach{fs: st, uri: uri, log: log}
}

// Run tries the store until ctx is done, and logs when it goes and comes back.
func (r *Reach) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := Try(ctx, r.fs, r.uri); ctx.Err() == nil {
			r.note(err)
			_ = daemon.Sleep(ctx, every) // ctx tells
		}
	}
	return nil
}

func (r *Reach) note(err error) {
	r.mu.Lock()
	before, since := r.err, r.since
	if err != nil && before == nil {
		r.since = time.Now()
	}
	r.tried, r.err = true, err
	r.mu.Unlock()
	switch {
	case err != nil && before == nil:
		r.log.Error("the store can't be reached; it is tried again, and nothing is lost meanwhile", "error", err)
	case err == nil && before != nil:
		r.log.Info("the store can be reached again", "store", r.uri, "after", time.Since(since).Round(time.Second))
	}
}

// Ready is nil while the store answers, or says why not.
func (r *Reach) Ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.err != nil:
		return fmt.Errorf("since %s: %w", r.since.UTC().Format(time.RFC3339), r.err)
	case !r.tried:
		return fmt.Errorf("%s has not answered yet", r.uri)
	}
	return nil
}

// Metric tells whether the store answers.
func (r *Reach) Metric() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "akupara", Name: "store_reachable", Help: "1 while the store answers, 0 otherwise.",
	}, func() float64 {
		if r.Ready() != nil {
			return 0
		}
		return 1
	})
}

// Try asks the store for something small. The error has its address and the cause.
func Try(ctx context.Context, st store.FS, uri string) error {
	ctx, cancel := context.WithTimeout(ctx, tryWithin)
	defer cancel()
	_, err := st.List(ctx, store.Raw)
	if err == nil {
		err = usable(uri)
	}
	if err != nil {
		return fmt.Errorf("the store %s can't be reached: %w", uri, err)
	}
	return nil
}

// usable reports why a folder of a local disk can't be used, or be made.
func usable(uri string) error {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" {
		return nil //nolint:nilerr // other stores have answered
	}
	dir := u.Path
	for {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir):
			dir = filepath.Dir(dir)
			continue
		case err != nil:
			return err
		case !info.IsDir():
			return fmt.Errorf("%s is not a folder", dir)
		}
		if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
			return fmt.Errorf("%s can't be written: %w", dir, err)
		}
		return nil
	}
}
