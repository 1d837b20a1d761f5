package hdfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/hdfs"
	"github.com/akupara/akupara/store/storetest"
)

type file struct {
	store.File
	name string
}

// create opens a file and writes b, which must both succeed.
func create(t *testing.T, s store.FS, name string, b []byte) file {
	t.Helper()
	f, err := s.Create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	return file{f, name}
}

// What happens when real daemons die, stop and come back. Each subtest leaves
// the cluster whole.
func TestFaultsOfRealDaemons(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills a cluster of its own")
	}
	t.Parallel()
	c := storetest.StartCluster(t)
	opts := hdfs.Options{Timeout: timeout, BlockSize: mib}
	opened := func(t *testing.T) *hdfs.FS { return open(t, c.URI()+"/"+t.Name(), opts) }

	t.Run("QuotaExceededIsNeverNil", func(t *testing.T) {
		s := opened(t)
		c.SetSpaceQuota("/"+t.Name(), 3*3*mib) // three blocks of three replicas
		f, err := s.Create(t.Context(), "f")
		if err != nil {
			t.Fatal(err)
		}
		err = write(f, body(8*mib))
		if err == nil || !strings.Contains(err.Error(), "quota") {
			t.Errorf("write and close: %v; want an error that speaks of the quota", err)
		}
		mustStayDead(t, f)
	})

	t.Run("KilledDataNode", func(t *testing.T) {
		s := opened(t)
		// Several, so that the node is at the head of some pipelines and further
		// back in others, where a write may go on for long without an error.
		var files []file
		for i := range 6 {
			files = append(files, create(t, s, fmt.Sprintf("f%d", i), body(mib/2)))
		}
		c.KillDataNode(2)
		for i, f := range files {
			rest := body(i % 3 * 16 * mib) // nothing more, 16 or 32 MiB
			err := within(t, callLimit, "write and close", func() error { return write(f, rest) })
			if err != nil {
				mustStayDead(t, f)
			} else if got := storetest.Get(t, s, f.name); !bytes.Equal(got, append(body(mib/2), rest...)) {
				t.Errorf("close said nil with %d bytes stored", len(got))
			} else if len(rest) > 0 {
				t.Error("nil, though every new block needs every node")
			}
			if err := s.Remove(t.Context(), f.name); err != nil {
				t.Errorf("remove what was abandoned: %v", err)
			}
		}
		c.StartDataNode(2)
		c.AwaitReady()
		publish(t, s, "g", body(3*mib))
	})

	t.Run("StoppedDataNode", func(t *testing.T) {
		s := opened(t)
		want := body(4 * mib)
		publish(t, s, "old", want)
		f := create(t, s, "f", want[:mib/2])
		c.StopDataNode(1)
		if err := within(t, callLimit, "write and close", func() error { return write(f, body(32*mib)) }); err == nil {
			t.Error("nil")
		}
		mustStayDead(t, f)
		if err := within(t, 2*callLimit, "read", func() error {
			if got := storetest.Get(t, s, "old"); !bytes.Equal(got, want) {
				return errors.New("wrong bytes")
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		// The NameNode avoids a silent node after 3 s.
		publish(t, s, "new", want)
		c.ContinueDataNode(1)
		c.AwaitReady()
	})

	t.Run("KilledNameNode", func(t *testing.T) {
		s, idle := opened(t), opened(t)
		publish(t, s, "old", body(1000))
		if _, err := idle.Stat(t.Context(), "old"); err != nil {
			t.Fatal(err)
		}
		f, full := create(t, s, "f", body(mib+mib/2)), create(t, s, "full", body(mib/2))
		c.KillNameNode()
		if err := within(t, callLimit, "write and close", func() error { return write(f, body(3*mib)) }); err == nil {
			t.Error("nil")
		}
		if err := within(t, callLimit, "close", full.Close); err == nil {
			t.Error("nil")
		}
		if _, err := s.Stat(t.Context(), "old"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("stat without a NameNode: %v; want an error that is no fact", err)
		}
		c.StartNameNode()
		// The client's own fifth Close said nil here, with 8 of 12 MiB stored.
		mustStayDead(t, f)
		mustStayDead(t, full)
		// The client's own idle connection would wait for 5 s.
		start := time.Now()
		eventually(t, "stat", func(int) error { _, err := idle.Stat(t.Context(), "old"); return err })
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("the first answer took %v", took)
		}
		publish(t, s, "new", body(3*mib))
		if got := storetest.Get(t, s, "old"); len(got) != 1000 {
			t.Errorf("an old file has %d bytes", len(got))
		}
	})

	t.Run("StoppedNameNode", func(t *testing.T) {
		s := opened(t)
		publish(t, s, "_tmp", body(1000))
		f := create(t, s, "f", body(mib/2))
		c.StopNameNode()
		if err := within(t, callLimit, "close", f.Close); err == nil {
			t.Error("nil")
		}
		renamed := make(chan error, 1)
		go func() { renamed <- s.Rename(t.Context(), "_tmp", "final") }()
		if err := within(t, callLimit, "stat", func() error { _, err := s.Stat(t.Context(), "final"); return err }); errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v from a stopped NameNode", err)
		}
		c.ContinueNameNode()
		mustStayDead(t, f)
		err := <-renamed
		// Whatever it says, the caller's rule holds: it is at one of the names.
		eventually(t, "list", func(int) error { _, err := s.List(t.Context(), ""); return err })
		_, tmpErr := s.Stat(t.Context(), "_tmp")
		_, finalErr := s.Stat(t.Context(), "final")
		if (tmpErr == nil) == (finalErr == nil) || err == nil && finalErr != nil {
			t.Errorf("rename: %v; then _tmp: %v, final: %v", err, tmpErr, finalErr)
		}
	})

	// A NameNode that is active no more answers from an old namespace, and
	// breaks at mutations. Here it is one of another cluster.
	t.Run("StaleNameNodeIsNotBelieved", func(t *testing.T) {
		fresh := storetest.SharedCluster(t)
		dir := strings.TrimPrefix(fresh, "hdfs://127.0.0.1:8020")
		storetest.Put(t, open(t, fresh, opts), "f", []byte("there"))
		storetest.Put(t, open(t, c.URI()+dir, opts), "other", nil)
		p := storetest.NewProxy(t)
		p.BreakOn(c.NameNode(), "setTimes", "mkdirs", "create", "delete", "rename2")
		both := opts
		both.Dial = p.Dial
		for range 8 { // from either as the first
			s := open(t, "hdfs://"+c.NameNode()+",127.0.0.1:8020"+dir, both)
			for range 3 {
				_, err := s.Stat(t.Context(), "f")
				if errors.Is(err, fs.ErrNotExist) {
					t.Fatalf("believed: %v", err)
				}
				if _, err := s.Open(t.Context(), "f"); errors.Is(err, fs.ErrNotExist) {
					t.Fatalf("believed: %v", err)
				}
				if err := s.Rename(t.Context(), "f", "g"); errors.Is(err, fs.ErrNotExist) {
					t.Fatalf("believed: %v", err)
				} else if err == nil {
					if err := s.Rename(t.Context(), "g", "f"); err != nil {
						t.Fatal(err)
					}
				}
			}
			eventually(t, "stat", func(int) error { _, err := s.Stat(t.Context(), "f"); return err })
			if _, err := s.Stat(t.Context(), "no"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what is missing for sure: %v, want fs.ErrNotExist", err)
			}
		}
		if p.Hits(c.NameNode()) == 0 {
			t.Error("the stale NameNode was never asked for a mutation: nothing was tested")
		}
	})
}
