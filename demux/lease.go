package demux

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sync"
	"syscall"
	"time"

	"github.com/akupara/akupara/store"
)

// A lease keeps demux processes from working on one table at the same time,
// which would be a waste: each commit but one would be lost. It is a courtesy
// and no lock. What keeps the table right is that a commit requires the version
// it was planned from.
const (
	leaseRenew = 2 * time.Second
	// leaseDead is for how long a lease may stand still before others take it.
	leaseDead = 8 * time.Second
	leaseMax  = 4096 // bytes read of a lease
)

// leaseState is a lease's content; it changes with each renewal.
type leaseState struct {
	Holder string `json:"holder"` // id of the process
	Host   string `json:"host"`
	PID    int    `json:"pid"`
	Beat   int    `json:"beat"`
}

// ErrHeld says that another process works on the table.
var ErrHeld = errors.New("another demux is at work on it")

// leases takes and watches the leases of one process.
type leases struct {
	fs store.FS
	me leaseState

	mu   sync.Mutex
	seen map[string]sighting // others' leases, by path
}

// sighting is when a lease was first seen in a state: clocks of different
// machines are never compared.
type sighting struct {
	state leaseState
	since time.Time
}

func newLeases(st store.FS, host string, pid int) *leases {
	return &leases{fs: st, me: leaseState{Holder: newID(), Host: host, PID: pid}, seen: map[string]sighting{}}
}

// newID makes a short random id.
func newID() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// leasePath is the lease of who commits to a table.
func leasePath(dataType string) string { return path.Join(store.Tables, dataType, "_lease") }

// jobLeasePath is the lease of who does a job on a table, for all of the job.
func jobLeasePath(dataType string) string { return path.Join(store.Tables, dataType, "_job") }

// take gets the lease at p and renews it until release is called. It fails with
// ErrHeld while a live process holds it.
func (l *leases) take(ctx context.Context, p string) (release func(), err error) {
	state, err := l.read(ctx, p)
	if err != nil {
		return nil, err
	}
	if state != nil && state.Holder != l.me.Holder && !l.dead(p, *state) {
		return nil, fmt.Errorf("%s: %w (process %d on %s)", path.Dir(p), ErrHeld, state.PID, state.Host)
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
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), leaseRenew)
		defer stop()
		_ = l.fs.Remove(ctx, p)
	}, nil
}

func (l *leases) renew(ctx context.Context, p string) {
	tick := time.NewTicker(leaseRenew)
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
func (l *leases) dead(p string, state leaseState) bool {
	if state.Host == l.me.Host && state.PID > 0 && errors.Is(syscall.Kill(state.PID, 0), syscall.ESRCH) {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.seen[p]
	if !ok || s.state != state {
		l.seen[p] = sighting{state, time.Now()}
		return false
	}
	return time.Since(s.since) >= leaseDead
}

func (l *leases) write(ctx context.Context, p string, beat int) error {
	state := l.me
	state.Beat = beat
	data, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("encode lease: %w", err)
	}
	return store.PublishBytes(ctx, l.fs, store.Temp(p, newID()), p, data)
}

// read returns nil when there is no lease that can be read. What takes its place,
// such as a folder or a file without rights, is nobody's, and stops nobody.
func (l *leases) read(ctx context.Context, p string) (*leaseState, error) {
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
	var state leaseState
	if json.Unmarshal(data, &state) != nil {
		return nil, nil //nolint:nilerr // damaged: nobody's
	}
	return &state, nil
}

func (l *leases) content(ctx context.Context, p string) ([]byte, error) {
	r, err := l.fs.Open(ctx, p)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.NewSectionReader(r, 0, min(r.Size(), leaseMax)))
}
