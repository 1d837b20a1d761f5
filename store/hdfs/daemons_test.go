package hdfs_test

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/store/hdfs"
	"github.com/akupara/akupara/store/storetest"
)

// What happens when real daemons die, stop and come back. Each subtest leaves
// the cluster whole.
func TestFaultsOfRealDaemons(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills a cluster of its own")
	}
	t.Parallel()
	c := storetest.StartCluster(t)
	opts := hdfs.Options{Timeout: timeout, BlockSize: mib}
	store := func(t *testing.T) *hdfs.FS { return open(t, c.URI()+"/"+t.Name(), opts) }

	t.Run("QuotaExceededIsNeverNil", func(t *testing.T) {
		s := store(t)
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
		s := store(t)
		for n := 1; n <= storetest.DataNodes; n++ { // each place in the pipeline, more or less
			f, err := s.Create(t.Context(), "f")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write(body(mib / 2)); err != nil {
				t.Fatal(err)
			}
			c.KillDataNode(n)
			err = within(t, callLimit, "write and close", func() error { return write(f, body(32*mib)) })
			if err == nil {
				t.Error("nil, though every file has a replica on every node")
			}
			mustStayDead(t, f)
			if err := s.Remove(t.Context(), "f"); err != nil {
				t.Errorf("remove what was abandoned: %v", err)
			}
			c.StartDataNode(n)
			c.AwaitReady()
		}
		publish(t, s, "g", body(3*mib))
	})

	t.Run("KilledDataNodeBeforeClose", func(t *testing.T) {
		s := store(t)
		f, err := s.Create(t.Context(), "f")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(body(mib / 2)); err != nil {
			t.Fatal(err)
		}
		c.KillDataNode(2)
		if err := within(t, callLimit, "close", f.Close); err == nil {
			// Two replicas may have been enough; then all must be there.
			if got := storetest.Get(t, s, "f"); !bytes.Equal(got, body(mib/2)) {
				t.Errorf("close said nil with %d bytes right", len(got))
			}
		} else {
			mustStayDead(t, f)
		}
		c.StartDataNode(2)
		c.AwaitReady()
	})

	t.Run("StoppedDataNode", func(t *testing.T) {
		s := store(t)
		want := body(4 * mib)
		publish(t, s, "old", want)
		f, err := s.Create(t.Context(), "f")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(want[:mib/2]); err != nil {
			t.Fatal(err)
		}
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
		s := store(t)
		publish(t, s, "old", body(1000))
		f, err := s.Create(t.Context(), "f")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(body(mib + mib/2)); err != nil {
			t.Fatal(err)
		}
		c.KillNameNode()
		if err := within(t, callLimit, "write and close", func() error { return write(f, body(3*mib)) }); err == nil {
			t.Error("nil")
		}
		if _, err := s.Stat(t.Context(), "old"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("stat without a NameNode: %v; want an error that is no fact", err)
		}
		c.StartNameNode()
		// The client's own fifth Close said nil here, with 8 of 12 MiB stored.
		mustStayDead(t, f)
		start := time.Now()
		publish(t, s, "new", body(3*mib))
		t.Logf("published %v after the NameNode was back", time.Since(start).Round(time.Millisecond))
		if got := storetest.Get(t, s, "old"); len(got) != 1000 {
			t.Errorf("an old file has %d bytes", len(got))
		}
	})

	t.Run("NameNodeKilledBeforeClose", func(t *testing.T) {
		s := store(t)
		f, err := s.Create(t.Context(), "f")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(body(mib / 2)); err != nil {
			t.Fatal(err)
		}
		c.KillNameNode()
		if err := within(t, callLimit, "close", f.Close); err == nil {
			t.Error("nil")
		}
		c.StartNameNode()
		mustStayDead(t, f)
	})

	t.Run("StoppedNameNode", func(t *testing.T) {
		s := store(t)
		publish(t, s, "_tmp", body(1000))
		f, err := s.Create(t.Context(), "f")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(body(mib / 2)); err != nil {
			t.Fatal(err)
		}
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
		err = <-renamed
		// Whatever it says, the caller's rule holds: it is at one of the names.
		eventually(t, "list", func(int) error { _, err := s.List(t.Context(), ""); return err })
		_, tmpErr := s.Stat(t.Context(), "_tmp")
		_, finalErr := s.Stat(t.Context(), "final")
		if (tmpErr == nil) == (finalErr == nil) || err == nil && finalErr != nil {
			t.Errorf("rename: %v; then _tmp: %v, final: %v", err, tmpErr, finalErr)
		}
	})

	t.Run("RestartedNameNode", func(t *testing.T) {
		s := store(t)
		publish(t, s, "before", body(1000))
		c.RestartNameNode()
		// An idle client must not need its back-off of 5 s.
		start := time.Now()
		eventually(t, "stat", func(int) error { _, err := s.Stat(t.Context(), "before"); return err })
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("the first answer took %v", took)
		}
		publish(t, s, "after", body(2*mib))
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
