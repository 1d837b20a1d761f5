package versions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
	"github.com/akupara/akupara/store/storetest"
)

const dirT = "tables/t"

func onDisk(t *testing.T) store.FS {
	t.Helper()
	fs, err := local.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

// newLog returns a log that does not wait for what will not happen.
func newLog(fs store.FS) *Log {
	l := New(fs, dirT)
	l.Patience = 0
	return l
}

func publish(t *testing.T, l *Log, n int, data string) {
	t.Helper()
	if err := l.Publish(t.Context(), n, []byte(data)); err != nil {
		t.Fatalf("publish version %d: %v", n, err)
	}
}

func wantNewest(t *testing.T, l *Log, want int) {
	t.Helper()
	if got, err := l.Newest(t.Context()); err != nil || got != want {
		t.Fatalf("newest: got %d, %v, want %d", got, err, want)
	}
}

func wantData(t *testing.T, l *Log, n int, want string) {
	t.Helper()
	if got, err := l.Read(t.Context(), n); err != nil || string(got) != want {
		t.Fatalf("version %d: got %q, %v, want %q", n, got, err, want)
	}
}

func TestNewestIsFoundWhateverTheHintSays(t *testing.T) {
	fs := onDisk(t)
	l := newLog(fs)
	wantNewest(t, l, 0)
	for n := 1; n <= 5; n++ {
		publish(t, l, n, fmt.Sprint(n))
	}
	for _, hint := range []string{"5", "2\n", "7", "-1", "x", "", strings.Repeat("9", 100), "99999999999"} {
		if err := fs.Remove(t.Context(), l.HintPath()); err != nil {
			t.Fatal(err)
		}
		storetest.Put(t, fs, l.HintPath(), []byte(hint))
		wantNewest(t, l, 5)
	}
	if err := fs.Remove(t.Context(), l.HintPath()); err != nil {
		t.Fatal(err)
	}
	wantNewest(t, l, 5)
	for n := 1; n <= 4; n++ { // as old metadata is cleaned away
		if err := fs.Remove(t.Context(), l.Path(n)); err != nil {
			t.Fatal(err)
		}
	}
	storetest.Put(t, fs, l.HintPath(), []byte("3"))
	wantNewest(t, l, 5)
}

func TestSecondCommitterOfAVersionLoses(t *testing.T) {
	l := newLog(onDisk(t))
	publish(t, l, 1, "a")
	if err := l.Publish(t.Context(), 1, []byte("b")); !errors.Is(err, ErrLost) {
		t.Fatalf("publish version 1 again: got %v, want ErrLost", err)
	}
	wantNewest(t, l, 1)
	wantData(t, l, 1, "a")
	if got := storetest.Tree(t, l.fs, l.claims()); len(got) != 0 {
		t.Errorf("left in _claims: got %v, want none but published ones", got)
	}
}

func TestDeadCommittersClaimIsPublishedByTheNext(t *testing.T) {
	fs := onDisk(t)
	l := newLog(fs)
	publish(t, l, 1, "a")
	storetest.Put(t, fs, l.claim(2)+"/dead/"+claimed, []byte("b"))
	wantNewest(t, l, 1)
	if got, err := l.Settle(t.Context()); err != nil || got != 2 {
		t.Fatalf("settle: got %d, %v, want 2", got, err)
	}
	wantData(t, l, 2, "b")
	if err := l.Publish(t.Context(), 2, []byte("c")); !errors.Is(err, ErrLost) {
		t.Fatalf("publish version 2: got %v, want ErrLost", err)
	}
	publish(t, l, 3, "c")
}

func TestFirstVersionIsPublishedForADeadCommitterToo(t *testing.T) {
	fs := onDisk(t)
	l := newLog(fs)
	storetest.Put(t, fs, l.claim(1)+"/dead/"+claimed, []byte("a"))
	if got, err := l.Settle(t.Context()); err != nil || got != 1 {
		t.Fatalf("settle: got %d, %v, want 1", got, err)
	}
	wantData(t, l, 1, "a")
}

// A claim may be made where an old, published one was cleaned away.
func TestStaleClaimIsNeverPublished(t *testing.T) {
	fs := onDisk(t)
	l := newLog(fs)
	for n := 1; n <= 3; n++ {
		publish(t, l, n, fmt.Sprint(n))
	}
	for n := 1; n <= 3; n++ {
		if err := fs.Remove(t.Context(), l.claim(n)); err != nil {
			t.Fatal(err)
		}
	}
	for n := 1; n <= 3; n++ {
		if err := l.Publish(t.Context(), n, []byte("stale")); !errors.Is(err, ErrLost) {
			t.Fatalf("publish version %d again: got %v, want ErrLost", n, err)
		}
		wantData(t, l, n, fmt.Sprint(n))
	}
	// A helper that looked long ago does not publish it either.
	if err := fs.Remove(t.Context(), l.Path(2)); err != nil {
		t.Fatal(err)
	}
	storetest.Put(t, fs, l.claim(2)+"/stale/"+claimed, []byte("stale"))
	if helped, err := l.help(t.Context(), 2); err != nil || !helped {
		t.Fatalf("help with version 2: got %v, %v; want to be told that it is long published", helped, err)
	}
	if _, err := l.Read(t.Context(), 2); err == nil {
		t.Fatal("a stale claim was published")
	}
	wantNewest(t, l, 3)
}

func TestSweepSparesTheYoungAndTheNewest(t *testing.T) {
	fs := onDisk(t)
	l := newLog(fs)
	for n := 1; n <= 3; n++ {
		publish(t, l, n, fmt.Sprint(n))
	}
	storetest.Put(t, fs, l.temp("tmp", "x")+"/x/"+claimed, []byte("x"))
	if n, err := l.Sweep(t.Context(), time.Hour); err != nil || n != 0 {
		t.Fatalf("sweep of what is an hour old: got %d, %v, want 0", n, err)
	}
	if n, err := l.Sweep(t.Context(), -time.Hour); err != nil || n != 3 {
		t.Fatalf("sweep: got %d, %v, want 3: the claims of versions 1 and 2, and tmp-x", n, err)
	}
	infos, err := fs.List(t.Context(), l.claims())
	if err != nil || len(infos) != 1 || infos[0].Path != l.claim(3) {
		t.Fatalf("left: got %v, %v, want the claim of version 3", infos, err)
	}
	publish(t, l, 4, "4")
}

func TestUnclearOutcomeIsSaidToBeUnclear(t *testing.T) {
	f := storetest.NewFaulty(onDisk(t))
	l := newLog(f)
	publish(t, l, 1, "a")
	away := errors.New("the store is away")
	f.FailWith(func(op, p string) error {
		if op == "rename" && p == l.Path(2) {
			return away
		}
		return nil
	})
	if err := l.Publish(t.Context(), 2, []byte("b")); !errors.Is(err, ErrUnknown) {
		t.Fatalf("publish whose last rename fails: got %v, want ErrUnknown", err)
	}
	f.FailWith(func(op, p string) error {
		if op == "rename" && p == l.claim(3) || op == "remove" {
			return away
		}
		return nil
	})
	if n, err := l.Settle(t.Context()); err != nil || n != 2 {
		t.Fatalf("settle: got %d, %v, want 2", n, err)
	}
	if err := l.Publish(t.Context(), 3, []byte("c")); !errors.Is(err, ErrUnknown) {
		t.Fatalf("publish whose claim is unclear: got %v, want ErrUnknown", err)
	}
	f.FailWith(nil)
	publish(t, l, 3, "d")
}

// pausing lets others go ahead before and after each step.
type pausing struct {
	store.FS
	mu  sync.Mutex
	rnd *rand.Rand
}

func (p *pausing) pause() {
	p.mu.Lock()
	d := time.Duration(p.rnd.ExpFloat64() * float64(200*time.Microsecond))
	if p.rnd.IntN(40) == 0 {
		d += 10 * time.Millisecond
	}
	p.mu.Unlock()
	if d > 50*time.Microsecond {
		<-time.After(d)
	}
}

func (p *pausing) Rename(ctx context.Context, from, to string) error {
	p.pause()
	defer p.pause()
	return p.FS.Rename(ctx, from, to)
}

func (p *pausing) Stat(ctx context.Context, path string) (store.Info, error) {
	p.pause()
	return p.FS.Stat(ctx, path)
}

func (p *pausing) List(ctx context.Context, path string) ([]store.Info, error) {
	defer p.pause()
	return p.FS.List(ctx, path)
}

func (p *pausing) Remove(ctx context.Context, path string) error {
	p.pause()
	return p.FS.Remove(ctx, path)
}

// state is what the committers below publish: the runs so far, in order.
type state struct{ Runs []string }

// committer commits runs, dying at random moments and looking, at each start,
// whether its run is in.
type committer struct {
	t     *testing.T
	inner store.FS
	rnd   *rand.Rand
	kills int
}

func (c *committer) commit(run string) {
	for {
		f := storetest.NewFaulty(&pausing{FS: c.inner, rnd: rand.New(rand.NewPCG(c.rnd.Uint64(), 0))})
		if c.rnd.IntN(3) == 0 {
			f.CrashAt(c.rnd.IntN(9), storetest.When(c.rnd.IntN(3)))
		}
		l := newLog(f)
		if c.once(l, run) {
			return
		}
		if f.Crashed() {
			c.kills++
		}
	}
}

// once reports whether the run is known to be in.
func (c *committer) once(l *Log, run string) bool {
	ctx := context.Background()
	n, err := l.Settle(ctx)
	if err != nil {
		return false
	}
	var s state
	if n > 0 {
		b, err := l.Read(ctx, n)
		if err != nil {
			return false
		}
		if err := json.Unmarshal(b, &s); err != nil {
			c.t.Errorf("version %d: %v", n, err)
			return true
		}
	}
	if slices.Contains(s.Runs, run) {
		return true
	}
	s.Runs = append(s.Runs, run)
	b, _ := json.Marshal(s)
	return l.Publish(ctx, n+1, b) == nil
}

func TestEachRunIsCommittedOnceThroughPausesAndKills(t *testing.T) {
	eachRunOnce(t, onDisk(t), 4, 15)
}

func eachRunOnce(t *testing.T, fs store.FS, committers, each int) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var wg sync.WaitGroup
	kills := make([]int, committers)
	for i := range committers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := &committer{t: t, inner: fs, rnd: rand.New(rand.NewPCG(seed, uint64(i)))}
			for j := range each {
				c.commit(fmt.Sprintf("run-%d-%d", i, j))
			}
			kills[i] = c.kills
		}()
	}
	wg.Wait()
	t.Logf("kills: %v", kills)
	l := newLog(fs)
	n, err := l.Settle(t.Context())
	if err != nil || n != committers*each {
		t.Fatalf("newest: got %d, %v, want %d", n, err, committers*each)
	}
	var prev state
	for v := 1; v <= n; v++ {
		b, err := l.Read(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		var s state
		if err := json.Unmarshal(b, &s); err != nil {
			t.Fatalf("version %d: %v", v, err)
		}
		if len(s.Runs) != v || !slices.Equal(s.Runs[:v-1], prev.Runs) {
			t.Fatalf("version %d does not follow from version %d:\n got %v\nprev %v", v, v-1, s.Runs, prev.Runs)
		}
		prev = s
	}
	slices.Sort(prev.Runs)
	if got := len(slices.Compact(prev.Runs)); got != committers*each {
		t.Fatalf("got %d different runs, want %d", got, committers*each)
	}
}

func TestCrashAtEveryWriteOfAPublication(t *testing.T) {
	for _, when := range []storetest.When{storetest.Before, storetest.After, storetest.Torn} {
		for k := 0; ; k++ {
			fs := onDisk(t)
			publish(t, newLog(fs), 1, "a")
			f := storetest.NewFaulty(fs)
			f.CrashAt(k, when)
			err := newLog(f).Publish(t.Context(), 2, []byte("b"))
			crashed := f.Crashed()
			l := newLog(fs)
			n, settleErr := l.Settle(t.Context())
			if settleErr != nil {
				t.Fatalf("crash %v write %d: settle: %v", when, k, settleErr)
			}
			if err == nil && n != 2 {
				t.Fatalf("crash %v write %d: said to be published, but the newest is %d", when, k, n)
			}
			if n == 1 {
				publish(t, l, 2, "b")
			}
			wantData(t, l, 2, "b")
			publish(t, l, 3, "c")
			wantNewest(t, l, 3)
			if !crashed {
				break
			}
		}
	}
}
