// Package lease keeps demux processes from working on one table at the same time,
// which would be a waste: each commit but one would be lost. A lease is a courtesy
// and no lock. What keeps the table right is that a commit requires the version
// it was planned from.
package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sync"
	"syscall"
	"time"

	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/store"
)

const (
	// Renew is how often a holder renews its lease.
	Renew = 2 * time.Second
	// Dead is for how long a lease may stand still before others take it.
	Dead = 8 * time.Second

	maxBytes = 4096 // read of a lease
)

// state is a lease's content; it changes with each renewal.
type state struct {
	Holder string `json:"holder"` // id of the process
	Host   string `json:"host"`
	PID    int    `json:"pid"`
	Beat   int    `json:"beat"`
}

// ErrHeld says that another process works on the table.
var ErrHeld = errors.New("another demux is at work on it")

// Leases takes and watches the leases of one process.
type Leases struct {
	fs store.FS
	me state

	mu   sync.Mutex
	seen map[string]sighting // others' leases, by path
}

// sighting is when a lease was first seen in a state: clocks of different
// machines are never compared.
type sighting struct {
	state
	since time.Time
}

// New makes the Leases of a process, which is pid on host.
func New(st store.FS, host string, pid int) *Leases {
	return &Leases{fs: st, me: state{Holder: store.NewID(), Host: host, PID: pid}, seen: map[string]sighting{}}
}

// Path is the lease of who commits to a table.
func Path(dataType string) string { return path.Join(store.Tables, dataType, "_lease") }

// JobPath is the lease of who does a job on a table, for all of the job.
func JobPath(dataType string) string { return path.Join(store.Tables, dataType, "_job") }

// Take gets the lease at p and renews it until release is called. It fails with
// ErrHeld while a live process holds it.
func (l *Leases) Take(ctx context.Context, p string) (release func(), err error) {
	held, err := l.read(ctx, p)
	if err != nil {
		return nil, err
	}
	if held != nil && held.Holder != l.me.Holder && !l.dead(p, *held) {
		return nil, fmt.Errorf("%s: %w (process %d on %s)", path.Dir(p), ErrHeld, held.PID, held.Host)
	}
	if err := l.write(ctx, p, 0); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.renew(ctx, p)
	}()
	return func() {
		cancel()
		<-done
		// Best effort: a lease left behind is dead soon.
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), Renew)
		defer stop()
		_ = l.fs.Remove(ctx, p)
	}, nil
}

// Wait is Take that waits up to limit while a live process holds the lease.
func (l *Leases) Wait(ctx context.Context, p string, limit time.Duration) (release func(), err error) {
	for until := time.Now().Add(limit); ; {
		release, err = l.Take(ctx, p)
		if !errors.Is(err, ErrHeld) || time.Now().After(until) {
			return release, err
		}
		if err := daemon.Sleep(ctx, time.Second/2); err != nil {
			return nil, err
		}
	}
}

func (l *Leases) renew(ctx context.Context, p string) {
	tick := time.NewTicker(Renew)
	defer tick.Stop()
	for beat := 1; ; beat++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = l.write(ctx, p, beat) // the next beat tries again
		}
	}
}

// dead reports whether the lease has stood still for too long, as seen from
// here, or is that of a process of this machine that is gone.
func (l *Leases) dead(p string, now state) bool {
	if now.Host == l.me.Host && now.PID > 0 && errors.Is(syscall.Kill(now.PID, 0), syscall.ESRCH) {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.seen[p]
	if !ok || s.state != now {
		l.seen[p] = sighting{now, time.Now()}
		return false
	}
	return time.Since(s.since) >= Dead
}

func (l *Leases) write(ctx context.Context, p string, beat int) error {
	mine := l.me
	mine.Beat = beat
	data, err := json.Marshal(mine)
	if err != nil {
		return fmt.Errorf("encode lease: %w", err)
	}
	return store.PublishBytes(ctx, l.fs, store.Temp(p, store.NewID()), p, data)
}

// read returns nil when there is no lease that can be read. What takes its place,
// such as a folder or a file without rights, is nobody's, and stops nobody.
func (l *Leases) read(ctx context.Context, p string) (*state, error) {
	data, err := l.content(ctx, p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		info, statErr := l.fs.Stat(ctx, p)
		if statErr != nil {
			return nil, fmt.Errorf("read lease: %w", err) // the store fails
		}
		if info.IsDir {
			// It would be in the way of the file.
			if err := l.fs.Remove(ctx, p); err != nil {
				return nil, fmt.Errorf("remove the folder in the lease's place: %w", err)
			}
		}
		return nil, nil
	}
	var held state
	if json.Unmarshal(data, &held) != nil {
		return nil, nil //nolint:nilerr // damaged: nobody's
	}
	return &held, nil
}

func (l *Leases) content(ctx context.Context, p string) ([]byte, error) {
	r, err := l.fs.Open(ctx, p)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.NewSectionReader(r, 0, min(r.Size(), maxBytes)))
}
