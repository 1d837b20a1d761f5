package journald

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/checkpoints"
	"github.com/akupara/akupara/chunk"
)

// stored are streams in a directory of checkpoints.
type stored struct{ *checkpoints.Store }

var owner = checkpoints.Owner{Adaptor: "journal", Kind: "journald"}

func (s stored) Known() []adaptors.Stream {
	var out []adaptors.Stream
	for _, k := range s.Streams(owner.Adaptor) {
		out = append(out, adaptors.Stream(k))
	}
	return out
}
func (stored) Others() []adaptors.Stream            { return nil }
func (stored) Take(string) (adaptors.Stream, error) { return adaptors.Stream{}, adaptors.ErrHeld }
func (stored) Release(string)                       {}
func (stored) Retype(string) (adaptors.Stream, error) {
	return adaptors.Stream{}, adaptors.ErrHeld
}
func (s stored) Open(ctx context.Context, st adaptors.Stream) (adaptors.Stream, error) {
	k, err := s.Store.Open(ctx, owner, checkpoints.Stream(st))
	return adaptors.Stream(k), err
}
func (s stored) Update(st adaptors.Stream) error { return s.Store.Update(checkpoints.Stream(st)) }

// rows are a table as the demux makes it: a record is one of a stream, a fork's
// being its base's, at an offset with its bytes. What comes twice is one.
type rows struct {
	mu      sync.Mutex
	refuse  bool
	records map[string]map[string]bool // by text, where it stands
	upTo    map[string]int64           // by stream, what came in order
}

func (r *rows) Send(_ context.Context, c *chunk.Chunk) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse {
		return errors.New("no collector is there")
	}
	if c.Kind == chunk.Begin || c.First <= r.upTo[c.Stream] {
		r.upTo[c.Stream] = max(r.upTo[c.Stream], c.Last)
	}
	base, _, _ := strings.Cut(c.Stream, "~")
	off := c.First
	for line := range bytes.Lines(c.Body) {
		var e struct{ MESSAGE string }
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("%w: %w", chunk.ErrInvalid, err)
		}
		if r.records[e.MESSAGE] == nil {
			r.records[e.MESSAGE] = map[string]bool{}
		}
		r.records[e.MESSAGE][fmt.Sprint(base, " ", off)] = true
		off += int64(len(line))
	}
	return nil
}

func (r *rows) setRefuse(is bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = is
}

// came is how often each of some messages is there.
func (r *rows) came(messages []string) (counts []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range messages {
		counts = append(counts, len(r.records[m]))
	}
	return counts
}

// host is a machine with a journal and an agent, whose disk may lose what was not
// synced of either.
type host struct {
	*testing.T
	*journal
	rows  *rows
	cfg   string
	dir   string // of the checkpoints
	store *checkpoints.Store
	a     *Adaptor
	stop  func()
}

func newHost(t *testing.T) *host {
	return &host{T: t, journal: newJournal(t), cfg: "program: " + os.Args[0], rows: &rows{records: map[string]map[string]bool{}, upTo: map[string]int64{}}, dir: filepath.Join(t.TempDir(), "data")}
}

func (h *host) boots() {
	h.Helper()
	log := slog.New(slog.DiscardHandler)
	store, err := checkpoints.Open(h.dir, log)
	if err != nil {
		h.Fatal(err)
	}
	a, err := New(*parseConfig(h.T, h.cfg))
	if err != nil {
		h.Fatal(err)
	}
	h.store, h.a = store, fast(a)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	env := adaptors.Env{Name: "journal", Type: "journald", Host: "host", Log: log, Out: h.rows, Streams: stored{store}}
	go func() { done <- h.a.Run(ctx, env) }()
	h.stop = func() {
		cancel()
		if err := <-done; err != nil {
			h.Errorf("Run: %v", err)
		}
		if err := store.Close(); err != nil {
			h.Error(err)
		}
		h.stop = func() {}
	}
	h.Cleanup(func() { h.stop() })
}

// settle secures all that came.
func (h *host) settle() {
	h.Helper()
	h.rows.mu.Lock()
	defer h.rows.mu.Unlock()
	for id, n := range h.rows.upTo {
		if err := h.store.Settled(id, n); err != nil && !errors.Is(err, checkpoints.ErrUnknown) {
			h.Fatal(err)
		}
		h.a.Settled(id, n)
	}
}

func (h *host) until(what string, is func() bool) {
	h.Helper()
	for deadline := time.Now().Add(90 * time.Second); !is(); time.Sleep(5 * time.Millisecond) { // between two looks
		if time.Now().After(deadline) {
			h.Fatalf("not in time: %s; status %+v, stored %+v", what, h.a.Status(), h.store.Streams(owner.Adaptor))
		}
	}
}

// onDisk are the messages that the journal holds.
func (h *host) onDisk() (out []string) {
	h.Helper()
	b, err := os.ReadFile(h.path)
	if err != nil {
		h.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		var e struct{ MESSAGE string }
		if err := json.Unmarshal(line, &e); err != nil {
			h.Fatal(err)
		}
		out = append(out, e.MESSAGE)
	}
	return out
}

// all waits until what is on the disk is in the table.
func (h *host) all() {
	h.Helper()
	h.until("all is in the table", func() bool { return !slices.Contains(h.rows.came(h.onDisk()), 0) })
}

// saves copies the checkpoints as they are now.
func (h *host) saves() (restore func()) {
	h.Helper()
	saved := h.TempDir()
	if err := os.CopyFS(filepath.Join(saved, "data"), os.DirFS(h.dir)); err != nil {
		h.Fatal(err)
	}
	return func() {
		h.Helper()
		if err := errors.Join(os.RemoveAll(h.dir), os.Rename(filepath.Join(saved, "data"), h.dir)); err != nil {
			h.Fatal(err)
		}
	}
}

// The journal and the checkpoints lose what was not synced, each its own part:
// what is on the disk then is in the table once, and what the disk lost after it
// was sent stays.
func TestWhatTheDiskHoldsAfterALossOfPowerIsInTheTableOnce(t *testing.T) {
	for _, settled := range []bool{false, true} {
		for _, state := range []int{0, 30, 60} { // of 60 messages, after which the checkpoints were synced last
			for _, lost := range []int{0, 15, 45} { // entries of the journal
				t.Run(fmt.Sprintf("state of %d, %d lost, settled %v", state, lost, settled), func(t *testing.T) {
					lossOfPower(t, state, lost, settled)
				})
			}
		}
	}
}

func lossOfPower(t *testing.T, state, lost int, settled bool) {
	h := newHost(t)
	h.add(1, nil)
	h.boots()
	h.all()
	restore := func() {}
	for n := 0; n < 60; n += 10 {
		if n == state {
			restore = h.saves()
		}
		h.add(10, nil)
		h.all()
		if settled {
			h.settle()
		}
	}
	before := h.onDisk()
	h.stop()
	if state < 60 {
		restore()
	}
	for range 2 { // and once more
		h.losePower(lost)
		h.add(20, nil)
		h.boots()
		h.all()
		h.add(10, nil)
		h.all()
		for i, n := range h.rows.came(h.onDisk()) {
			if n != 1 {
				t.Errorf("%s is in the table %d times, want once", h.onDisk()[i], n)
			}
		}
		if slices.Contains(h.rows.came(before), 0) {
			t.Error("what was sent is not in the table any more")
		}
		h.stop()
		lost = min(lost, 7)
	}
}

// What was on its way when the power went, and nobody has, comes as far as the
// disk holds it.
func TestWhatWasOnItsWayWhenThePowerWentIsSentAgain(t *testing.T) {
	for lost := range 11 {
		h := newHost(t)
		h.boots()
		h.add(20, nil)
		h.all()
		h.settle()
		h.rows.setRefuse(true)
		h.add(10, nil)
		h.until("it is journalled", func() bool {
			k := h.store.Streams(owner.Adaptor)[0]
			return k.Sent > k.Settled
		})
		h.stop()
		h.rows.setRefuse(false)
		h.losePower(lost)
		h.add(5, nil)
		h.boots()
		h.all()
		for i, n := range h.rows.came(h.onDisk()) {
			if n != 1 {
				t.Errorf("%d lost: %s is in the table %d times, want once", lost, h.onDisk()[i], n)
			}
		}
		h.stop()
	}
}

func TestNoEntryComesTwiceWhenTheStateIsLost(t *testing.T) {
	h := newHost(t)
	h.add(50, nil)
	h.boots()
	h.all()
	h.stop()
	h.add(10, nil)
	if err := os.RemoveAll(h.dir); err != nil {
		t.Fatal(err)
	}
	h.boots()
	h.all()
	h.add(10, nil)
	h.all()
	for i, n := range h.rows.came(h.onDisk()) {
		if n != 1 {
			t.Errorf("%s is in the table %d times, want once", h.onDisk()[i], n)
		}
	}
}

// The real journalctl, where it is there with what makes journal files.
func TestRealJournalThatLostItsEndGoesOn(t *testing.T) {
	remote := "/lib/systemd/systemd-journal-remote"
	journalctl, err := exec.LookPath("journalctl")
	if _, statErr := os.Stat(remote); err != nil || statErr != nil {
		t.Log("journalctl or systemd-journal-remote is missing: the stand-in alone is tested")
		return
	}
	h := newHost(t)
	dir := t.TempDir()
	h.cfg = "program: " + journalctl + "\ndirectory: " + dir
	write := func(boot, from, to int) (messages []string) {
		var in strings.Builder
		for i := from; i <= to; i++ {
			messages = append(messages, fmt.Sprintf("message %d", i))
			fmt.Fprintf(&in, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%032d\nPRIORITY=3\nMESSAGE=message %d\n\n",
				1772359200000000+i, 1000+i, boot, i)
		}
		cmd := exec.Command(remote, "--output="+filepath.Join(dir, fmt.Sprintf("boot-%d.journal", boot)), "-")
		cmd.Stdin = strings.NewReader(in.String())
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("systemd-journal-remote: %v: %s", err, said)
		}
		return messages
	}
	kept := write(1, 1, 20)
	h.boots()
	h.until("the first", func() bool { return !slices.Contains(h.rows.came(kept), 0) })
	file := filepath.Join(dir, "boot-1.journal")
	onDisk, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lost := write(1, 21, 30)
	h.until("what will be lost", func() bool { return !slices.Contains(h.rows.came(lost), 0) })
	h.stop()
	if err := os.WriteFile(file, onDisk, 0o600); err != nil {
		t.Fatal(err)
	}
	after := write(2, 31, 50)
	h.boots()
	h.until("the rest", func() bool { return !slices.Contains(h.rows.came(after), 0) })
	all := slices.Concat(kept, lost, after)
	for i, n := range h.rows.came(all) {
		if n != 1 {
			t.Errorf("%s is in the table %d times, want once", all[i], n)
		}
	}
}

// journalctl follows the entries of the last boot alone.
func TestEntriesOfEarlierBootsAreRead(t *testing.T) {
	j := newJournal(t)
	w := newWorld(t, "")
	j.add(5, nil)
	j.losePower(0)
	j.add(5, nil)
	w.start()
	w.wait(1, 10)
	w.end()
	j.add(5, nil) // while the machine goes down
	j.losePower(0)
	w.start()
	j.add(5, nil)
	w.wait(1, 20)
	if n := len(w.rec.Known()); n != 1 {
		t.Errorf("%d streams, want one", n)
	}
}
