// Package disktest breaks the local disk under a daemon: Disk crashes at its
// k-th change, and forgets at a loss of power what was not synced.
package disktest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/akupara/akupara/disk"
)

// ErrCrashed is what a crashed Disk answers.
var ErrCrashed = errors.New("crashed by the test")

// ErrTorn makes half of a write happen that FailWith fails with it, as a full
// disk does.
var ErrTorn = errors.New("half of it was written")

// When says what a crash does to the change it strikes.
type When int

const (
	Before When = iota // it does not happen
	After              // it happens, and nobody is told
	Torn               // half of a write happens, of other changes nothing
)

func (w When) String() string { return [...]string{"before", "after", "torn"}[w] }

// Disk is a disk.Disk over the real one that crashes at its k-th change, so
// that a test can try all points of a crash:
//
//	for k := 0; ; k++ {
//		d := disktest.New(t.TempDir())
//		d.CrashAt(k, disktest.Torn)
//		run(d)
//		if !d.Crashed() { break } // the run has fewer changes than k
//		d.LosePower(rnd)          // or not: a crash of the process alone
//		recover and check, on disk.Local
//	}
//
// Changes are the making of a file or directory, Rename, Remove, SyncDir, and a
// file's Write, Truncate and Sync. It is safe for concurrent use.
type Disk struct {
	disk.Local
	mu      sync.Mutex
	at      int
	when    When
	n       int
	crashed bool
	dark    bool // after LosePower
	life    int  // files of before a Restart stay dead
	log     []string
	fail    func(op, name string) error
	onCrash func()
	free    func() (free, total int64, err error)
	files   map[string]*content
	// What no SyncDir has made durable, in order, undone last to first.
	loose []loose
	stash string
	kept  int // files in stash
}

type loose struct {
	dir  string
	undo func()
}

// content is what a file holds, whoever has it open.
type content struct {
	name            string
	written, synced int64
	cut             []byte // what a truncation took that no sync has made durable
}

type file struct {
	disk.File
	d    *Disk
	c    *content
	life int
}

// New makes a disk that does not crash until told. stash is a directory on the
// same file system, for files that a loss of power may bring back.
func New(stash string) *Disk { return &Disk{at: -1, files: map[string]*content{}, stash: stash} }

// CrashAt makes the k-th change from now crash, counted from 0.
func (d *Disk) CrashAt(k int, when When) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at, d.when, d.n = k, when, 0
}

// FailWith makes the changes fail that fail returns an error for; nil ends that.
// op is create, mkdir, write, truncate, sync, rename, remove or syncdir; name
// is the target of a rename.
func (d *Disk) FailWith(fail func(op, name string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = fail
}

// OnCrash makes the crash call f, which must not use the disk: a process that
// tries again for ever has to be stopped then.
func (d *Disk) OnCrash(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.onCrash = f
}

// SetFree replaces what Free returns.
func (d *Disk) SetFree(free, total int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free = func() (int64, int64, error) { return free, total, nil }
}

// Crashed reports whether the crash has happened.
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
	d.dark = true
	for _, name := range slices.Sorted(maps.Keys(d.files)) { // so that a seed always does the same
		switch c := d.files[name]; {
		case c.written > c.synced:
			_ = os.Truncate(c.name, c.synced+rnd.Int64N(c.written-c.synced+1))
		case c.cut != nil && rnd.IntN(2) == 0:
			if f, err := os.OpenFile(c.name, os.O_WRONLY|os.O_APPEND, 0); err == nil {
				_, _ = f.Write(c.cut)
				_ = f.Close()
			}
		}
	}
	for i := len(d.loose) - 1; i >= 0; i-- {
		if rnd.IntN(2) == 0 {
			d.loose[i].undo()
		}
	}
}

// Restart is the start of the process after its crash on a machine that goes
// on: calls work again, open files do not, and what was not synced still isn't.
func (d *Disk) Restart() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at, d.crashed = -1, false
	d.life++
}

func (d *Disk) change(op, name string, do func() error, torn func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changeIn(d.life, op, name, do, torn)
}

// change of a file.
func (f *file) change(op string, do func() error, torn func()) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return f.d.changeIn(f.life, op, f.c.name, do, torn)
}

// changeIn does one change of a process's life, or crashes; d.mu is held.
func (d *Disk) changeIn(life int, op, name string, do func() error, torn func()) error {
	if d.crashed || d.dark || life != d.life {
		return ErrCrashed
	}
	if d.fail != nil {
		if err := d.fail(op, name); err != nil {
			if errors.Is(err, ErrTorn) && torn != nil {
				torn()
			}
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
	if d.onCrash != nil {
		defer d.onCrash()
	}
	switch {
	case d.when == After:
		_ = do()
	case d.when == Torn && torn != nil:
		torn()
	}
	return fmt.Errorf("%v change %d (%s %s): %w", d.when, d.at, op, name, ErrCrashed)
}

func (d *Disk) undoable(dir string, undo func()) { d.loose = append(d.loose, loose{dir, undo}) }

// keep is where a file or directory is put that may have to come back.
func (d *Disk) keep(name string) string {
	d.kept++
	return filepath.Join(d.stash, fmt.Sprintf("%d-%s", d.kept, filepath.Base(name)))
}

// OpenFile implements disk.Disk. It is a change where it makes or empties a
// file.
func (d *Disk) OpenFile(name string, flag int, perm fs.FileMode) (f disk.File, err error) {
	do := func() error {
		info, statErr := os.Stat(name)
		inner, err := d.Local.OpenFile(name, flag, perm)
		if err != nil {
			return err
		}
		c := d.files[name]
		switch {
		case statErr != nil:
			c = &content{name: name}
			d.undoable(filepath.Dir(name), func() {
				if c.name == name { // a name that it was given later is durable by itself
					_ = os.Remove(name)
				}
			})
		case flag&os.O_TRUNC != 0:
			c = &content{name: name}
		case c == nil:
			c = &content{name: name, written: info.Size(), synced: info.Size()}
		}
		d.files[name] = c
		f = &file{File: inner, d: d, c: c, life: d.life}
		return nil
	}
	if flag&(os.O_CREATE|os.O_TRUNC) != 0 {
		err = d.change("create", name, do, nil)
	} else {
		d.mu.Lock()
		if err = ErrCrashed; !d.crashed && !d.dark {
			err = do()
		}
		d.mu.Unlock()
	}
	if err != nil && f != nil { // it crashed just after
		_ = f.(*file).File.Close()
		f = nil
	}
	return f, err
}

func (f *file) Write(b []byte) (n int, err error) {
	write := func(b []byte) (int, error) {
		n, err := f.File.Write(b)
		f.c.written += int64(n)
		f.c.cut = nil
		return n, err
	}
	err = f.change("write",
		func() error { n, err = write(b); return err },
		func() { n, _ = write(b[:len(b)/2]) })
	return n, err
}

func (f *file) Sync() error {
	return f.change("sync", func() error {
		f.c.synced, f.c.cut = f.c.written, nil
		return nil // the real one would only cost time
	}, nil)
}

func (f *file) Truncate(size int64) error {
	return f.change("truncate", func() error {
		whole, _ := os.ReadFile(f.c.name)
		if err := f.File.Truncate(size); err != nil {
			return err
		}
		if f.c.synced > size {
			f.c.cut = whole[size:min(f.c.synced, int64(len(whole)))]
		}
		f.c.written, f.c.synced = size, min(f.c.synced, size)
		return nil
	}, nil)
}

// Mkdir implements disk.Disk.
func (d *Disk) Mkdir(name string, perm fs.FileMode) error {
	return d.change("mkdir", name, func() error {
		if err := d.Local.Mkdir(name, perm); err != nil {
			return err
		}
		kept := d.keep(name)
		d.undoable(filepath.Dir(name), func() { _ = os.Rename(name, kept) })
		return nil
	}, nil)
}

// Rename implements disk.Disk.
func (d *Disk) Rename(from, to string) error {
	return d.change("rename", to, func() error {
		replaced := d.keep(to)
		hadOne := os.Link(to, replaced) == nil
		if err := d.Local.Rename(from, to); err != nil {
			return err
		}
		c := d.files[from]
		delete(d.files, to)
		if c != nil {
			delete(d.files, from)
			d.files[to], c.name = c, to
		}
		d.undoable(filepath.Dir(to), func() {
			if os.Rename(to, from) == nil && c != nil {
				c.name = from
			}
			if hadOne {
				_ = os.Rename(replaced, to)
			}
		})
		return nil
	}, nil)
}

// Remove implements disk.Disk.
func (d *Disk) Remove(name string) error {
	return d.change("remove", name, func() error {
		kept := d.keep(name)
		if err := os.Rename(name, kept); err != nil {
			return err
		}
		delete(d.files, name)
		d.undoable(filepath.Dir(name), func() { _ = os.Rename(kept, name) })
		return nil
	}, nil)
}

// SyncDir implements disk.Disk.
func (d *Disk) SyncDir(dir string) error {
	return d.change("syncdir", dir, func() error {
		if _, err := os.Stat(dir); err != nil {
			return err
		}
		left := d.loose[:0]
		for _, l := range d.loose {
			if l.dir != dir {
				left = append(left, l)
			}
		}
		d.loose = left
		return nil
	}, nil)
}

// Free implements disk.Disk.
func (d *Disk) Free(dir string) (free, total int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.free != nil {
		return d.free()
	}
	return d.Local.Free(dir)
}
