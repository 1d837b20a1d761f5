package agentd

import (
	"context"
	"errors"
	"time"

	"github.com/akupara/akupara/daemon"
)

// drainView is what a drain has left.
type drainView struct {
	Draining bool       `json:"draining"`
	Settled  bool       `json:"settled"`
	Waited   float64    `json:"waited_seconds"`
	Left     int64      `json:"left_bytes"`
	Unread   int64      `json:"unread_bytes"`
	Adaptors []leftView `json:"adaptors"`
}

type leftView struct {
	Name   string `json:"name"`
	Left   int64  `json:"left_bytes"`
	Unread int64  `json:"unread_bytes"`
}

// drainEvery is how often a drain looks whether it is done.
const drainEvery = 100 * time.Millisecond

// drain holds all reading and waits until what was read is settled, or ctx is
// done.
func (f *fleet) drain(ctx context.Context, idle func() bool) (drainView, error) {
	began := time.Now()
	if err := f.supervisor.Hold(ctx, true); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return drainView{}, err
	}
	for {
		v := f.left(idle)
		v.Waited = time.Since(began).Seconds()
		if v.Settled {
			return v, nil
		}
		if err := daemon.Sleep(ctx, drainEvery); err != nil {
			return v, nil //nolint:nilerr // the time is over, and what is left is the answer
		}
	}
}

// left tells what is on its way, and what is not read yet.
func (f *fleet) left(idle func() bool) drainView {
	v := drainView{Draining: f.supervisor.Held(), Adaptors: []leftView{}}
	for _, a := range f.supervisor.List() {
		l := leftView{Name: a.Name}
		for _, p := range a.Position {
			l.Left += max(0, p.Read-p.Settled)
			l.Unread += max(0, p.Size-max(p.Read, p.Settled))
		}
		if !f.replayable(a.Kind) { // it is all in the spool, and sent from there
			l.Left, l.Unread = a.LagBytes, 0
		}
		if l.Left > 0 || l.Unread > 0 {
			v.Adaptors = append(v.Adaptors, l)
		}
		v.Left += l.Left
		v.Unread += l.Unread
	}
	v.Settled = v.Left == 0 && idle()
	return v
}

func (f *fleet) replayable(kind string) bool {
	for _, k := range f.kinds {
		if k.Name == kind {
			return k.Replayable
		}
	}
	return false
}
