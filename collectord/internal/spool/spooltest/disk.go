// Package spooltest breaks the local disk under a spool: Disk crashes at its
// k-th change, and forgets at the crash what was not synced.
package spooltest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"

	"github.com/akupara/akupara/collectord/internal/spool"
)

// ErrCrashed is what a crashed Disk answers.
var ErrCrashed = errors.New("crashed by the test")

// When says what a crash does to the change it strikes.
type When int

const (
	Before When = iota // it does not happen
	After              // it happens, and nobody is told
	Torn               // half of a write happens, of other changes nothing
)

// Disk is a spool.Disk over the real one. It is safe for concurrent use.
type Disk struct {
	spool.LocalDisk
	mu      sync.Mutex
	at      int
	when    When
	n       int
	crashed bool
	log     []string
	fail    func(op, name string) error
	free    func() (free, total int64, err error)
	files   map[string]*file
	// What no SyncDir has made durable, in order, undone last to first.
	loose []loose
	stash string
}

type loose struct {
	dir  string
	undo func()
}

type file struct {
	spool.File
	d               *Disk
	name            string
	written, synced int64
}

// New makes a disk that does not crash until told. stash is a directory on the
// same file system, for files that a crash may bring back.
func New(stash string) *Disk { return &Disk{at: -1, files: map[string]*file{}, stash: stash} }

// CrashAt makes the k-th change from now crash, counted from 0.
func (d *Disk) CrashAt(k int, when When) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at, d.when, d.n = k, when, 0
}

// FailWith makes the changes fail that fail gives an error for; nil ends that.
// op is create, write, sync, truncate, rename, remove or syncdir.
func (d *Disk) FailWith(fail func(op, name string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = fail
}

// SetFree replaces what Free tells.
func (d *Disk) SetFree(free, total int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free = func() (int64, int64, error) { return free, total, nil }
}

// Crashed tells whether the crash has happened.
func (d *Disk) Crashed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.crashed
}

// Log lists the changes, for a test's message.
func (d *Disk) Log() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.log...)
}

// LosePower undoes a random part of what was not synced, as a machine that
// lost its power would. Nobody may use the disk any more.
func (d *Disk) LosePower(rnd *rand.Rand) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.files {
		if f.written > f.synced {
			_ = os.Truncate(f.name, f.synced+rnd.Int64N(f.written-f.synced+1))
		}
	}
	for i := len(d.loose) - 1; i >= 0; i-- {
		if rnd.IntN(2) == 0 {
			d.loose[i].undo()
		}
	}
}

// change does one change, or crashes.
func (d *Disk) change(op, name string, do func() error, torn func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.crashed {
		return ErrCrashed
	}
	if d.fail != nil {
		if err := d.fail(op, name); err != nil {
			return err
		}
	}
	strike := d.n == d.at
	d.log = append(d.log, fmt.Sprintf("%d: %s %s", d.n, op, filepath.Base(name)))
	d.n++
	if !strike {
		return do()
	}
	d.crashed = true
	switch {
	case d.when == After:
		_ = do()
	case d.when == Torn && torn != nil:
		torn()
	}
	return ErrCrashed
}

// Create implements spool.Disk.
func (d *Disk) Create(name string) (f spool.File, err error) {
	err = d.change("create", name, func() error {
		inner, err := d.LocalDisk.Create(name)
		if err != nil {
			return err
		}
		made := &file{File: inner, d: d, name: name}
		d.files[name], f = made, made
		d.loose = append(d.loose, loose{filepath.Dir(name), func() { _ = os.Remove(made.name) }})
		return nil
	}, nil)
	if err != nil && f != nil { // it crashed just after
		_ = f.(*file).File.Close()
		f = nil
	}
	return f, err
}

func (f *file) Write(b []byte) (n int, err error) {
	err = f.d.change("write", f.name, func() error {
		n, err = f.File.Write(b)
		f.written += int64(n)
		return err
	}, func() {
		n, _ := f.File.Write(b[:len(b)/2])
		f.written += int64(n)
	})
	return n, err
}

func (f *file) Sync() error {
	return f.d.change("sync", f.name, func() error {
		if err := f.File.Sync(); err != nil {
			return err
		}
		f.synced = f.written
		return nil
	}, nil)
}

// Truncate implements spool.Disk.
func (d *Disk) Truncate(name string, size int64) error {
	return d.change("truncate", name, func() error {
		if err := d.LocalDisk.Truncate(name, size); err != nil {
			return err
		}
		if f := d.files[name]; f != nil {
			f.written, f.synced = size, size
		}
		return nil
	}, nil)
}

// Rename implements spool.Disk.
func (d *Disk) Rename(from, to string) error {
	return d.change("rename", to, func() error {
		if err := d.LocalDisk.Rename(from, to); err != nil {
			return err
		}
		f := d.files[from]
		if f != nil {
			delete(d.files, from)
			d.files[to], f.name = f, to
		}
		d.loose = append(d.loose, loose{filepath.Dir(to), func() {
			if os.Rename(to, from) == nil && f != nil {
				f.name = from
			}
		}})
		return nil
	}, nil)
}

// Remove implements spool.Disk.
func (d *Disk) Remove(name string) error {
	return d.change("remove", name, func() error {
		kept := filepath.Join(d.stash, fmt.Sprintf("%d-%s", d.n, filepath.Base(name)))
		if err := os.Rename(name, kept); err != nil {
			return err
		}
		delete(d.files, name)
		d.loose = append(d.loose, loose{filepath.Dir(name), func() { _ = os.Rename(kept, name) }})
		return nil
	}, nil)
}

// SyncDir implements spool.Disk.
func (d *Disk) SyncDir(dir string) error {
	return d.change("syncdir", dir, func() error {
		left := d.loose[:0]
		for _, l := range d.loose {
			if l.dir != dir {
				left = append(left, l)
			}
		}
		d.loose = left
		return nil // the real one would only cost time
	}, nil)
}

// Free implements spool.Disk.
func (d *Disk) Free(dir string) (free, total int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.free != nil {
		return d.free()
	}
	return d.LocalDisk.Free(dir)
}
