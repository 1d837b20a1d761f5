package checkpoints

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/akupara/akupara/disk"
	"github.com/akupara/akupara/disk/disktest"
)

// quick is a disk that spares the tests that open hundreds of times the fsyncs.
func quick(t *testing.T) *disktest.Disk {
	t.Helper()
	return disktest.New(t.TempDir())
}

// model is what a run was told to be stored.
type model struct {
	streams map[string]Stream
	durable map[string]bool // ids whose Open has returned
	values  map[string]string
}

func (m *model) clone() *model {
	c := &model{streams: map[string]Stream{}, durable: map[string]bool{}, values: map[string]string{}}
	for k, v := range m.streams {
		c.streams[k] = v
	}
	for k, v := range m.values {
		c.values[k] = v
	}
	for k := range m.durable {
		c.durable[k] = true
	}
	return c
}

// work does every kind of call, with several rolls, until one fails. It gives
// what was acknowledged, and that plus the call that failed.
func work(s *Store) (acked, perhaps *model) {
	acked = &model{streams: map[string]Stream{}, durable: map[string]bool{}, values: map[string]string{}}
	var ids []string
	for i := range 30 {
		next := acked.clone()
		st := Stream{Source: fmt.Sprintf("/log/%d", i), Identity: []byte{byte(i)}}
		out, err := s.Open(context.Background(), Owner{Adaptor: "a", Kind: "tail"}, st)
		if err != nil {
			return acked, nil // its id is not known: any one stream more is right
		}
		next.streams[out.ID], next.durable[out.ID] = out, true
		acked = next
		ids = append(ids, out.ID)
		steps := []func(m *model) error{
			func(m *model) error {
				m.values["k"] = fmt.Sprint(i)
				return s.Put("k", []byte(fmt.Sprint(i)))
			},
			func(m *model) error {
				x := m.streams[ids[i/2]]
				x.Sent, x.Tail = int64(i), uint64(i)
				m.streams[x.ID] = x
				return s.Sent(x.ID, x.Sent, x.Tail)
			},
			func(m *model) error {
				x := m.streams[ids[i/2]]
				x.Settled = int64(i)
				m.streams[x.ID] = x
				return s.Settled(x.ID, x.Settled)
			},
			func(m *model) error {
				if i%3 != 2 {
					return nil
				}
				x := m.streams[ids[i/2]]
				x.Settled = int64(i / 3)
				m.streams[x.ID] = x
				return s.Rewind(map[string]int64{x.ID: x.Settled})
			},
			func(m *model) error {
				x := m.streams[ids[i]]
				x.Source, x.Ended = x.Source+".1", true
				m.streams[x.ID] = x
				return s.Update(x)
			},
			func(m *model) error {
				if i%5 != 4 {
					return nil
				}
				delete(m.streams, ids[i])
				ids[i] = ids[i-1]
				return s.Forget(out.ID)
			},
		}
		for _, step := range steps {
			next := acked.clone()
			if step(next) != nil {
				return acked, next
			}
			acked = next
		}
	}
	return acked, acked
}

func stored(s *Store) *model {
	m := &model{streams: map[string]Stream{}, values: map[string]string{}}
	for _, st := range s.Streams("a") {
		m.streams[st.ID] = st
	}
	for k, v := range s.List() {
		m.values[k] = string(v)
	}
	return m
}

func TestKillAtEveryChangeKeepsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	crashLoop(t, killed)
}

func TestPowerLossAtEveryChangeKeepsOpenedStreams(t *testing.T) {
	t.Parallel()
	crashLoop(t, dark)
}

func TestPowerLossInTheLifeAfterAKillKeepsWhatThatStored(t *testing.T) {
	t.Parallel()
	crashLoop(t, killedThenDark)
}

// fate is what becomes of a machine.
type fate int

const (
	killed         fate = iota // the process alone
	dark                       // the power fails
	killedThenDark             // the power fails in the next life of the process
)

func crashLoop(t *testing.T, what fate) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for _, when := range []disktest.When{disktest.After, disktest.Torn} {
		if what == killedThenDark && when == disktest.Torn {
			continue // what is torn is cut off at the start: no news after killed
		}
		n := 0
		for crashed := true; crashed && !t.Failed(); n++ {
			crashed = crashAt(t, n, when, what, rnd)
		}
		t.Logf("%d changes, a crash %v each", n, when)
	}
}

// crashAt crashes a store at its k-th change of the disk, and reports whether
// there are so many.
func crashAt(t *testing.T, k int, when disktest.When, what fate, rnd *rand.Rand) bool {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "c")
	d := quick(t)
	d.CrashAt(k, when)
	acked := &model{}
	perhaps := acked
	s, err := open(d, dir, "", quiet())
	if err == nil {
		s.minRoll, s.rollAt = 500, 500
		acked, perhaps = work(s)
		abandon(t, s)
	}
	crashed := d.Crashed()
	switch what {
	case dark:
		d.LosePower(rnd)
	case killedThenDark:
		d.Restart()
		s, err = open(d, dir, "", quiet())
		if err != nil {
			t.Fatalf("k=%d, %v: open after the crash: %v", k, when, err)
		}
		acked = stored(s) // all of it is in the snapshot that the start published
		acked.durable = map[string]bool{}
		for id := range acked.streams {
			acked.durable[id] = true
		}
		perhaps = acked
		abandon(t, s)
		d.LosePower(rnd)
	}
	s, err = open(quick(t), dir, "", quiet())
	if err != nil {
		t.Fatalf("k=%d, %v: open after the crash: %v", k, when, err)
	}
	got := stored(s)
	if what != killed {
		checkDurable(t, k, got, acked, perhaps)
	} else {
		checkExact(t, k, got, acked, perhaps)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("k=%d, %v: close: %v", k, when, err)
	}
	return crashed
}

func checkExact(t *testing.T, k int, got, acked, perhaps *model) {
	t.Helper()
	same := func(m *model) bool {
		if m == nil || len(got.values) != len(m.values) || got.values["k"] != m.values["k"] || len(got.streams) != len(m.streams) {
			return false
		}
		for id, st := range m.streams {
			if !reflect.DeepEqual(got.streams[id], st) {
				return false
			}
		}
		return true
	}
	if perhaps == nil { // an Open failed: with or without that stream
		for id := range got.streams {
			if _, ok := acked.streams[id]; !ok {
				delete(got.streams, id)
				break
			}
		}
	}
	if !same(acked) && !same(perhaps) {
		t.Errorf("k=%d: state after the crash:\n got %+v\nwant %+v\n  or %+v", k, got, acked, perhaps)
	}
}

func checkDurable(t *testing.T, k int, got, acked, perhaps *model) {
	t.Helper()
	for id := range acked.durable {
		if _, ok := acked.streams[id]; !ok {
			continue // forgotten
		}
		if _, ok := got.streams[id]; ok {
			continue
		}
		if perhaps != nil {
			if _, ok := perhaps.streams[id]; !ok {
				continue // the crash was in Forget
			}
		}
		t.Errorf("k=%d: stream %s was open before the crash and is gone", k, id)
	}
	want := acked.values["k"]
	if v := got.values["k"]; v != want && (perhaps == nil || v != perhaps.values["k"]) {
		t.Errorf("k=%d: value after the crash: got %q, want %q", k, v, want)
	}
}

func mustOpenUnsynced(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := open(quick(t), dir, "", quiet())
	if err != nil {
		t.Fatalf("open checkpoints: %v", err)
	}
	return s
}

// filled makes a directory with a snapshot and a journal that both matter, and
// leaves it as SIGKILL would.
func filled(t *testing.T, streams int) string {
	t.Helper()
	dir := t.TempDir()
	for range 2 {
		s := mustOpen(t, dir)
		for range streams {
			st := mustStream(t, s, "a", Stream{Source: "/x", Identity: []byte("id")})
			if err := errors.Join(s.Sent(st.ID, 10, 1), s.Settled(st.ID, 5)); err != nil {
				t.Fatal(err)
			}
		}
		abandon(t, s)
	}
	return dir
}

func newest(t *testing.T, dir, kind string) (path string, data []byte) {
	t.Helper()
	s := &Store{dir: dir, disk: disk.Local{}}
	snapshots, journals, err := s.generations()
	if err != nil {
		t.Fatal(err)
	}
	gens := snapshots
	if kind == journalFile {
		gens = journals
	}
	path = filepath.Join(dir, fileName(kind, gens[len(gens)-1]))
	if data, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return path, data
}

func TestJournalTornAtEveryByteKeepsTheWholeRecords(t *testing.T) {
	t.Parallel()
	const n = 3
	src := filled(t, n)
	_, data := newest(t, src, journalFile)
	last := n
	for cut := range len(data) {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(src)); err != nil {
			t.Fatal(err)
		}
		path, _ := newest(t, dir, journalFile)
		writeFile(t, path, string(data[:cut]))
		s := mustOpenUnsynced(t, dir)
		got := len(s.Streams("a"))
		if got < last {
			t.Fatalf("cut at %d: %d streams, want at least the %d there were before", cut, got, last)
		}
		last = got
		if cut == 0 {
			if s.Damaged() != 1 || !s.Fresh() {
				t.Errorf("an empty journal: %d damaged, fresh %t; want 1, true", s.Damaged(), s.Fresh())
			}
		} else if s.Damaged() > 0 {
			kept, err := os.ReadDir(filepath.Join(dir, quarantineDir))
			if err != nil || len(kept) != s.Damaged() {
				t.Fatalf("cut at %d: quarantine holds %v (%v), want %d", cut, kept, err, s.Damaged())
			}
		}
		s.Close()
	}
	if last != 2*n {
		t.Errorf("at the last cut there were %d streams, want %d", last, 2*n)
	}
}

func TestDamagedSnapshotFallsBackToTheOneBefore(t *testing.T) {
	t.Parallel()
	src := filled(t, 3)
	_, data := newest(t, src, snapshotFile)
	agent := func() string { h, _, _ := readHead(data); return h.agent }()
	for at := 0; at < len(data); at += 3 {
		for _, damage := range []string{"flip", "cut"} {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(src)); err != nil {
				t.Fatal(err)
			}
			path, bad := newest(t, dir, snapshotFile)
			if damage == "flip" {
				bad[at] ^= 0x40
			} else {
				bad = bad[:at]
			}
			writeFile(t, path, string(bad))
			s := mustOpenUnsynced(t, dir)
			if got := s.Streams("a"); len(got) != 6 || got[5].Settled != 5 {
				t.Fatalf("%s at %d: %d streams, want all 6 from the snapshot before and two journals", damage, at, len(got))
			}
			if s.AgentID() != agent || s.Damaged() != 1 {
				t.Fatalf("%s at %d: agent %s, want %s; %d quarantined, want 1", damage, at, s.AgentID(), agent, s.Damaged())
			}
			s.Close()
		}
	}
}

func TestNewerVersionIsRefused(t *testing.T) {
	dir := filled(t, 1)
	path, _ := newest(t, dir, snapshotFile)
	writeFile(t, path, string(appendFrame(nil, &record{op: opHead, head: head{version: version + 1}})))
	if s, err := Open(dir, quiet()); !errors.Is(err, errNewer) {
		t.Errorf("a snapshot of a newer version: got %v %v, want errNewer", s, err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the newer snapshot was not left alone: %v", err)
	}
}

func FuzzReadFiles(f *testing.F) {
	st := newState()
	for _, r := range []record{
		{op: opStream, owner: Owner{Adaptor: "a", Kind: "tail", Type: "x"}, stream: Stream{ID: "1", Source: "/x", Identity: []byte("i"), Sent: 3, Tail: 9}},
		{op: opPut, name: "k", value: []byte("v")},
	} {
		_ = st.apply(&r)
	}
	whole := st.appendSnapshot(nil, head{version: version, gen: 1, agent: "x"})
	f.Add(whole)
	f.Add(appendFrame(whole[:40], &record{op: opSent, stream: Stream{ID: "1", Sent: 4}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		st, h, err := readSnapshot(data)
		if err != nil {
			return
		}
		again, h2, err := readSnapshot(st.appendSnapshot(nil, h))
		if err != nil || h2 != h || len(again.streams) != len(st.streams) {
			t.Errorf("what was read can't be written and read again: %v", err)
		}
	})
}
