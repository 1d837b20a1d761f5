package hdfs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/hdfs"
	"github.com/akupara/akupara/store/storetest"
)

func TestHDFSDoesWhatStoresDo(t *testing.T) {
	uri := storetest.SharedCluster(t)
	n := 0
	storetest.Run(t, func(t *testing.T) store.FS {
		n++
		return open(t, fmt.Sprintf("%s/%d", uri, n), hdfs.Options{})
	})
}

// More than a NameNode tells in one answer.
func TestLargeDirectoryIsListedWhole(t *testing.T) {
	s := open(t, storetest.SharedCluster(t), hdfs.Options{})
	want := 1100
	if testing.Short() {
		want = 20
	}
	for i := range want {
		f, err := s.Create(t.Context(), fmt.Sprintf("d/%05d", i))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	infos, err := s.List(t.Context(), "d")
	if err != nil || len(infos) != want {
		t.Fatalf("listed %d, %v; want %d", len(infos), err, want)
	}
	for i, info := range infos {
		if info.Path != fmt.Sprintf("d/%05d", i) {
			t.Fatalf("place %d holds %s", i, info.Path)
		}
	}
}

func TestReaderOfARenamedFileReadsOnOrSaysItIsGone(t *testing.T) {
	s := open(t, storetest.SharedCluster(t), hdfs.Options{BlockSize: mib})
	want := body(3 * mib)
	storetest.Put(t, s, "raw", want)
	r, err := s.Open(t.Context(), "raw")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	late, err := s.Open(t.Context(), "raw")
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	got := make([]byte, len(want))
	if _, err := r.ReadAt(got[:100], 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Rename(t.Context(), "raw", "archive"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the reader that had begun: %v, want all bytes", err)
	}
	if _, err := late.ReadAt(got, 0); !errors.Is(err, fs.ErrNotExist) && !(err == nil && bytes.Equal(got, want)) {
		t.Errorf("the reader that had not begun: %v, want all bytes or fs.ErrNotExist", err)
	}
	storetest.Put(t, s, "raw", []byte("another"))
	if _, err := late.ReadAt(got, 0); err == nil && !bytes.Equal(got, want) {
		t.Error("a reader has gone on to another file of the same name")
	}
}

func TestUserOfEnvironmentActs(t *testing.T) {
	t.Setenv("HADOOP_USER_NAME", "akupara-test-user")
	s := open(t, storetest.SharedCluster(t), hdfs.Options{})
	storetest.Put(t, s, "f", nil)
	if _, err := s.Stat(t.Context(), "f"); err != nil {
		t.Error(err)
	}
	if got := s.User(); got != "akupara-test-user" {
		t.Errorf("user %q, want that of HADOOP_USER_NAME", got)
	}
}

func TestNobodyListeningIsAClearError(t *testing.T) {
	s := open(t, "hdfs://127.0.0.1:1/x", hdfs.Options{Timeout: time.Second})
	_, err := s.Stat(t.Context(), "f")
	if err == nil || errors.Is(err, fs.ErrNotExist) || !bytes.Contains([]byte(err.Error()), []byte("127.0.0.1:1")) {
		t.Errorf("stat: %v; want an error that names the address", err)
	}
}

func TestClosedStoreRefuses(t *testing.T) {
	s := open(t, storetest.SharedCluster(t), hdfs.Options{})
	storetest.Put(t, s, "f", nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(t.Context(), "f"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat: %v, want a refusal", err)
	}
}

func open(t *testing.T, uri string, opts hdfs.Options) *hdfs.FS {
	t.Helper()
	s, err := hdfs.New(uri, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func body(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// write writes b in pieces until an error, and closes.
func write(f store.File, b []byte) error {
	for len(b) > 0 {
		n, err := f.Write(b[:min(len(b), 300_000)])
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return f.Close()
}

// within runs do and fails the test when that took longer.
func within(t *testing.T, limit time.Duration, what string, do func() error) error {
	t.Helper()
	done := make(chan error, 1)
	start := time.Now()
	go func() { done <- do() }()
	select {
	case err := <-done:
		t.Logf("%s: %v after %v", what, err, time.Since(start).Round(time.Millisecond))
		return err
	case <-time.After(limit):
		t.Fatalf("%s: still under way after %v", what, limit)
		return nil
	}
}

// mustStayDead checks that a file that had an error never says it is fine.
func mustStayDead(t *testing.T, f store.File) {
	t.Helper()
	for i := range 6 {
		if err := f.Close(); err == nil {
			t.Fatalf("close number %d after an error: nil", i+1)
		}
	}
	if _, err := f.Write([]byte("x")); err == nil {
		t.Error("a write after an error: nil")
	}
}

// eventually repeats do under new names, as a daemon does, for at most 40 s.
func eventually(t *testing.T, what string, do func(try int) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	for try := 0; ; try++ {
		err := do(try)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: still fails after 40 s: %v", what, err)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

func publish(t *testing.T, s store.FS, name string, b []byte) {
	t.Helper()
	eventually(t, "publish "+name, func(try int) error {
		tmp := fmt.Sprintf("_%s.%d.tmp", name, try)
		f, err := s.Create(t.Context(), tmp)
		if err != nil {
			return err
		}
		if err := write(f, b); err != nil {
			return err
		}
		return s.Rename(t.Context(), tmp, name)
	})
	if got := storetest.Get(t, s, name); !bytes.Equal(got, b) {
		t.Errorf("%s reads %d bytes that differ from the %d written", name, len(got), len(b))
	}
}
