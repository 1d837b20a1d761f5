package hdfs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"testing"
	"time"

	"github.com/akupara/akupara/store/hdfs"
	"github.com/akupara/akupara/store/storetest"
)

const (
	timeout   = 1500 * time.Millisecond
	callLimit = 6*timeout + 3*time.Second
	mib       = 1 << 20
)

// proxied opens a store whose connections all pass through a proxy.
func proxied(t *testing.T) (s *hdfs.FS, p *storetest.Proxy, nameNode string, dataNodes []string) {
	t.Helper()
	t.Parallel() // they wait for time-outs most of the time
	return proxiedAt(t, storetest.SharedCluster(t))
}

func proxiedAt(t *testing.T, uri string) (s *hdfs.FS, p *storetest.Proxy, nameNode string, dataNodes []string) {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	p = storetest.NewProxy(t)
	s = open(t, uri, hdfs.Options{Timeout: timeout, BlockSize: mib, Dial: p.Dial})
	// Where the DataNodes are is learnt by writing to them.
	for i := 0; len(dataNodes) < storetest.DataNodes && i < 60; i++ {
		storetest.Put(t, s, fmt.Sprintf("probe/%d", i), []byte("x"))
		dataNodes = nil
		for _, a := range p.Addresses() {
			if a != u.Host {
				dataNodes = append(dataNodes, a)
			}
		}
	}
	if err := s.Remove(t.Context(), "probe"); err != nil {
		t.Fatal(err)
	}
	return s, p, u.Host, dataNodes
}

func each(addresses []string, do func(string)) {
	for _, a := range addresses {
		do(a)
	}
}

func TestFileWhoseDataNodeFailsIsAbandoned(t *testing.T) {
	for name, fault := range map[string]func(*storetest.Proxy, string){
		"broken":             (*storetest.Proxy).Break,
		"stalled":            (*storetest.Proxy).Stall,
		"acknowledges never": (*storetest.Proxy).StallReplies,
	} {
		t.Run(name, func(t *testing.T) {
			s, p, _, dataNodes := proxied(t)
			f, err := s.Create(t.Context(), "_f.1.tmp")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write(body(mib / 2)); err != nil {
				t.Fatal(err)
			}
			each(dataNodes, func(a string) { fault(p, a) })
			if err := within(t, callLimit, "write and close", func() error { return write(f, body(4*mib)) }); err == nil {
				t.Fatal("nil")
			}
			each(dataNodes, p.Pass)
			mustStayDead(t, f)
			publish(t, s, "f", body(3*mib+17))
			if err := s.Remove(t.Context(), "_f.1.tmp"); err != nil {
				t.Errorf("remove what was abandoned: %v", err)
			}
		})
	}
}

// The last bytes are lost when the reply to the last packet is.
func TestCloseIsNotNilWithoutTheLastAcknowledgement(t *testing.T) {
	s, p, _, dataNodes := proxied(t)
	f, err := s.Create(t.Context(), "f")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(body(1000)); err != nil { // stays in the client's buffer
		t.Fatal(err)
	}
	each(dataNodes, p.StallReplies)
	if err := within(t, callLimit, "close", f.Close); err == nil {
		t.Fatal("nil")
	}
	each(dataNodes, p.Pass)
	mustStayDead(t, f)
}

// point is where connections break: after so many bytes of requests.
type point struct {
	addresses []string
	bytes     int64
}

// A connection that breaks after any number of bytes: either the file is whole
// or it says no.
func TestFileIsWholeOrRefusedWhereverItBreaks(t *testing.T) {
	s, p, nameNode, dataNodes := proxied(t)
	want := body(2*mib + mib/2)
	var points []point
	for _, n := range []int64{1, 100, 1000, 66_000, mib, mib + mib/100, mib + mib/50} {
		points = append(points, point{dataNodes, n})
	}
	for n := int64(200); n <= 2600; n += 150 { // a file's calls take about 2.3 kB
		points = append(points, point{[]string{nameNode}, n})
	}
	stored := 0
	for i, at := range points {
		each(at.addresses, func(a string) { p.BreakAfter(a, at.bytes) })
		name := fmt.Sprintf("f%d", i)
		err := within(t, 2*callLimit, fmt.Sprint(at), func() error {
			f, err := s.Create(t.Context(), name)
			if err != nil {
				return err
			}
			if err = write(f, want); err != nil {
				mustStayDead(t, f)
			}
			return err
		})
		each(at.addresses, p.Pass)
		if err == nil {
			stored++
			if got := storetest.Get(t, s, name); !bytes.Equal(got, want) {
				t.Errorf("close said nil with %d of %d bytes right", len(got), len(want))
			}
		}
	}
	if stored == 0 || stored == len(points) {
		t.Errorf("%d of %d files were stored: the points are not about the border", stored, len(points))
	}
	publish(t, s, "after", want)
}

func TestReadGoesOnFromAnotherReplica(t *testing.T) {
	for name, fault := range map[string]func(*storetest.Proxy, string){
		"broken":  (*storetest.Proxy).Break,
		"stalled": (*storetest.Proxy).Stall,
		"silent":  (*storetest.Proxy).StallReplies,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // as in proxied
			uri := storetest.SharedCluster(t)
			s, p, _, dataNodes := proxiedAt(t, uri)
			want := body(3 * mib)
			storetest.Put(t, s, "f", want)
			storetest.AwaitReplicas(t, uri+"/f")
			r, err := s.Open(t.Context(), "f")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			got := make([]byte, 3*mib)
			if _, err := r.ReadAt(got[:mib/2], 0); err != nil {
				t.Fatal(err)
			}
			each(dataNodes[1:], func(a string) { fault(p, a) })
			for off := mib / 2; off < len(got); off += mib / 2 {
				err := within(t, callLimit, "read", func() error { _, err := r.ReadAt(got[off:off+mib/2], int64(off)); return err })
				if err != nil {
					t.Fatalf("with one replica left: %v", err)
				}
			}
			if !bytes.Equal(got, want) {
				t.Error("wrong bytes")
			}
			// None left: bounded, and the reader works again afterwards.
			fault(p, dataNodes[0])
			if err := within(t, callLimit, "read", func() error { _, err := r.ReadAt(got[:1000], 10); return err }); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("without replicas: %v, want an error", err)
			}
			each(dataNodes, p.Pass)
			clear(got)
			if _, err := r.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
				t.Errorf("with all replicas back: %v", err)
			}
		})
	}
}

func TestHungNameNodeHangsNobody(t *testing.T) {
	s, p, nameNode, _ := proxied(t)
	storetest.Put(t, s, "f", body(100))
	open, err := s.Create(t.Context(), "open")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open.Write(body(mib + 5)); err != nil {
		t.Fatal(err)
	}
	p.Stall(nameNode)
	ctx := t.Context()
	for what, call := range map[string]func() error{
		"create": func() error { _, err := s.Create(ctx, "g"); return err },
		"open":   func() error { _, err := s.Open(ctx, "f"); return err },
		"stat":   func() error { _, err := s.Stat(ctx, "f"); return err },
		"list":   func() error { _, err := s.List(ctx, ""); return err },
		"remove": func() error { return s.Remove(ctx, "f") },
		"rename": func() error { return s.Rename(ctx, "f", "h") },
		"close":  open.Close,
	} {
		err := within(t, callLimit, what, call)
		if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v; want an error that is no fact", what, err)
		}
	}
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if err := within(t, timeout, "stat with a short context", func() error { _, err := s.Stat(short, "f"); return err }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
	p.Pass(nameNode)
	mustStayDead(t, open)
	eventually(t, "list", func(int) error { _, err := s.List(ctx, ""); return err })
}

func TestRenameWhoseReplyIsLostIsKnownToHaveHappened(t *testing.T) {
	s, p, nameNode, _ := proxied(t)
	storetest.Put(t, s, "_f.tmp", []byte("new"))
	storetest.Put(t, s, "f", []byte("old"))
	storetest.Put(t, s, "d/x", nil)
	storetest.Put(t, s, "claims/v0/y", nil)
	for from, to := range map[string]string{"_f.tmp": "f", "d": "claims/v1"} {
		p.LoseReply(nameNode, "rename2")
		if err := within(t, 2*callLimit, "rename", func() error { return s.Rename(t.Context(), from, to) }); err != nil {
			t.Errorf("rename %s to %s: %v, want nil", from, to, err)
		}
		if p.Hits(nameNode) != 1 {
			t.Fatalf("%d replies were lost, want 1: nothing was tested", p.Hits(nameNode))
		}
	}
	p.Pass(nameNode)
	if got := string(storetest.Get(t, s, "f")); got != "new" {
		t.Errorf("f reads %q, want new", got)
	}
	if got := storetest.Tree(t, s, ""); len(got) != 3 {
		t.Errorf("the store holds %v", got)
	}
}

func TestRenameThatNeverArrivedIsAnErrorAndNoFact(t *testing.T) {
	s, p, nameNode, _ := proxied(t)
	storetest.Put(t, s, "_f.tmp", []byte("new"))
	// The target of the same size must not be taken for ours.
	storetest.Put(t, s, "f", []byte("old"))
	p.BreakOn(nameNode, "rename2")
	err := within(t, 2*callLimit, "rename", func() error { return s.Rename(t.Context(), "_f.tmp", "f") })
	if err == nil || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v; want an error that is no fact", err)
	}
	p.Pass(nameNode)
	if got := string(storetest.Get(t, s, "f")); got != "old" {
		t.Errorf("f reads %q, want old", got)
	}
	if err := s.Rename(t.Context(), "_f.tmp", "f"); err != nil {
		t.Errorf("again: %v", err)
	}
}

// A claim that is lost because another has it must say so, whatever happened
// to the answer.
func TestLostClaimIsKnownToBeLost(t *testing.T) {
	s, p, nameNode, _ := proxied(t)
	storetest.Put(t, s, "claims/v1/theirs", nil)
	storetest.Put(t, s, "claims/tmp/ours", nil)
	p.LoseReply(nameNode, "rename2")
	err := s.Rename(t.Context(), "claims/tmp", "claims/v1")
	if err == nil {
		t.Fatal("nil: the claim was given twice")
	}
	if err := s.Rename(t.Context(), "claims/tmp", "claims/v1"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("again: %v, want fs.ErrExist", err)
	}
}

func TestFileOfADeadCreatorBlocksUntilRemoved(t *testing.T) {
	s, p, nameNode, _ := proxied(t)
	p.LoseReply(nameNode, "create")
	if _, err := s.Create(t.Context(), "f"); err == nil || errors.Is(err, fs.ErrExist) {
		t.Errorf("create with the reply lost: %v; want an error that is no fact", err)
	}
	p.Pass(nameNode)
	if _, err := s.Create(t.Context(), "f"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create again: %v, want fs.ErrExist", err)
	}
	if err := s.Remove(t.Context(), "f"); err != nil {
		t.Fatal(err)
	}
	publish(t, s, "f", body(10))
}

func TestMissingIsBelievedAfterABarrierOnly(t *testing.T) {
	s, p, nameNode, _ := proxied(t)
	storetest.Put(t, s, "f", nil)
	p.Count("setTimes")
	missing := func() error {
		_, err := s.Stat(t.Context(), "no")
		return err
	}
	for range 5 {
		if err := missing(); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if n := p.Count("setTimes"); n != 0 {
		t.Errorf("%d barriers while nothing failed, want none", n)
	}
	p.Break(nameNode)
	if err := missing(); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("with the connection broken: %v; want an error that is no fact", err)
	}
	p.Pass(nameNode)
	for range 5 {
		if err := missing(); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if n := p.Count("setTimes"); n != 1 {
		t.Errorf("%d barriers after a failure, want one for the session", n)
	}
	// Where the barrier fails, nothing is believed.
	p.BreakOn(nameNode, "getFileInfo")
	_ = missing()
	p.BreakOn(nameNode, "setTimes", "mkdirs")
	if err := missing(); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("with mutations impossible: %v; want an error that is no fact", err)
	}
}
