package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/akupara/akupara/store"
)

// ErrCrashed is what a crashed Faulty answers: the process is dead, whatever
// the caller does next doesn't count.
var ErrCrashed = errors.New("crashed by the test")

// When says what a crash does to the mutation it strikes.
type When int

const (
	// Before: the mutation does not happen.
	Before When = iota
	// After: it happens, and the caller is told otherwise: a lost reply.
	After
	// Torn: half of the bytes of a Write arrive. Writes alone are counted: for what
	// else there is, it would be Before.
	Torn
)

func (w When) String() string { return [...]string{"before", "after", "torn"}[w] }

// Faulty is a store that crashes at its k-th mutation, so that a test can try
// all points of a crash:
//
//	for k := 0; ; k++ {
//		f := storetest.NewFaulty(inner)
//		f.CrashAt(k, storetest.Before)
//		run(f)
//		if !f.Crashed() { break } // the run has fewer mutations than k
//		recover and check, on inner
//	}
//
// Mutations are Create, Rename, Remove, and a file's Write and Close. What a crash
// Before one leaves is what one After the last leaves: Before is for what the dead
// process says of it. It is safe for concurrent use.
type Faulty struct {
	inner store.FS

	mu      sync.Mutex
	at      int // -1: never
	when    When
	n       int
	writes  int
	crashed bool
	epoch   int // files of before a Reset stay dead
	log     []string
	fail    func(op, path string) error
}

var _ store.FS = (*Faulty)(nil)

// NewFaulty wraps inner; it never crashes until told.
func NewFaulty(inner store.FS) *Faulty { return &Faulty{inner: inner, at: -1} }

// CrashAt makes the k-th mutation from now crash, counted from 0; Torn, the k-th
// Write.
func (f *Faulty) CrashAt(k int, when When) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.when, f.n, f.writes = k, when, 0, 0
}

// FailWith makes every mutation that fail gives an error for fail with it,
// without happening and without a crash; nil ends that. op is "create",
// "write", "close", "rename" or "remove"; path is the target of a rename.
func (f *Faulty) FailWith(fail func(op, path string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

// Reset is the restart after the crash: calls work again, open files do not.
func (f *Faulty) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.n, f.crashed, f.log = -1, 0, false, nil
	f.epoch++
}

// Crashed reports whether the crash has happened.
func (f *Faulty) Crashed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.crashed
}

// Mutations is the number of mutations since NewFaulty, CrashAt or Reset.
func (f *Faulty) Mutations() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// Log lists the mutations since NewFaulty or Reset, for a test's message.
func (f *Faulty) Log() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.log...)
}

// mutate counts one mutation and does it, or crashes. torn, if any, is what
// happens of it in a Torn crash.
func (f *Faulty) mutate(epoch int, op, path string, do, torn func() error) error {
	f.mu.Lock()
	if f.crashed || epoch >= 0 && epoch != f.epoch {
		f.mu.Unlock()
		return ErrCrashed
	}
	if f.fail != nil {
		if err := f.fail(op, path); err != nil {
			f.mu.Unlock()
			return err
		}
	}
	k := f.n
	f.n++
	strike, when := k == f.at, f.when
	if when == Torn {
		strike = torn != nil && f.writes == f.at
	}
	if torn != nil {
		f.writes++
	}
	f.crashed = f.crashed || strike
	f.log = append(f.log, fmt.Sprintf("%d: %s %s", k, op, path))
	f.mu.Unlock()
	switch {
	case !strike:
		return do()
	case when == After:
		_ = do() // nobody is left to be told
	case when == Torn:
		_ = torn()
	}
	return fmt.Errorf("%s mutation %d (%s %s): %w", when, k, op, path, ErrCrashed)
}

func (f *Faulty) alive() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return ErrCrashed
	}
	return nil
}

func (f *Faulty) Create(ctx context.Context, path string) (store.File, error) {
	var file *faultyFile
	err := f.mutate(-1, "create", path, func() error {
		inner, err := f.inner.Create(ctx, path)
		if err != nil {
			return err
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		file = &faultyFile{f: f, inner: inner, path: path, epoch: f.epoch}
		return nil
	}, nil)
	if err != nil {
		return nil, err
	}
	return file, nil
}

func (f *Faulty) Open(ctx context.Context, path string) (store.Reader, error) {
	if err := f.alive(); err != nil {
		return nil, err
	}
	return f.inner.Open(ctx, path)
}

func (f *Faulty) Stat(ctx context.Context, path string) (store.Info, error) {
	if err := f.alive(); err != nil {
		return store.Info{}, err
	}
	return f.inner.Stat(ctx, path)
}

func (f *Faulty) List(ctx context.Context, dir string) ([]store.Info, error) {
	if err := f.alive(); err != nil {
		return nil, err
	}
	return f.inner.List(ctx, dir)
}

func (f *Faulty) Rename(ctx context.Context, from, to string) error {
	return f.mutate(-1, "rename", to, func() error { return f.inner.Rename(ctx, from, to) }, nil)
}

func (f *Faulty) Remove(ctx context.Context, path string) error {
	return f.mutate(-1, "remove", path, func() error { return f.inner.Remove(ctx, path) }, nil)
}

type faultyFile struct {
	f     *Faulty
	inner store.File
	path  string
	epoch int
	err   error
}

func (w *faultyFile) Write(b []byte) (n int, err error) {
	if w.err != nil {
		return 0, w.err
	}
	w.err = w.f.mutate(w.epoch, "write", w.path,
		func() error { n, err = w.inner.Write(b); return err },
		func() error {
			if _, err := w.inner.Write(b[:len(b)/2]); err != nil {
				return err
			}
			return w.inner.Close() // what was collected reaches the disk
		})
	return n, w.err
}

func (w *faultyFile) Close() error {
	if w.err != nil {
		return w.err
	}
	return w.f.mutate(w.epoch, "close", w.path, w.inner.Close, nil)
}
