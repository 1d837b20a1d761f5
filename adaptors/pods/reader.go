package pods

import (
	"bytes"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/pods/internal/cri"
	"github.com/akupara/akupara/adaptors/pods/internal/kube"
)

const (
	readBytes = 512 << 10 // of one read, and thereby of most chunks
	turnBytes = 8 << 20   // that one instance may send before others get their turn
)

// result is what a reader reports of a turn.
type result struct {
	of      *turn
	instead *instance     // that goes on in its place,
	forked  bool          // as a fork: what it was is still to be ended
	ahead   bool          // it was not read: its files were opened
	more    bool          // there is more to read
	wake    time.Duration // look again after so long without an event; 0: no need
	err     error         // try again later
}

// reader gives instances their turns. Several run side by side, each with one
// instance at a time.
type reader struct {
	env     *adaptors.Env
	cfg     *Config
	times   times
	cutter  cri.Cutter
	meta    metadata
	buffers *sync.Pool // of *[]byte, readBytes long
	borders []int64
	owners  *owners
	opened  func() // tells the run that the instance's stream has an id
}

// store writes what is known of the stream's files, where that changed.
func (r *reader) store(in *instance) error {
	if !in.isOpen() || !in.changed {
		return nil
	}
	if id := in.encode(); !bytes.Equal(id, in.out.Identity()) {
		if err := in.out.Update(id); err != nil {
			return err
		}
	}
	in.changed = false
	return nil
}

// metadata is what the cluster knows of pods.
type metadata interface {
	// Lookup gives what is known of a pod, by the uid in its logs' path.
	Lookup(uid string) (kube.Pod, kube.State)
	// Generation changes with what Lookup gives.
	Generation() int64
}
