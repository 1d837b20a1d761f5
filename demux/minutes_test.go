package demux

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
	"github.com/akupara/akupara/store/storetest"
)

// A demux that commits every minute, with its jobs at their own schedules, has few
// files on the disk at any time, also where some rows come hours late, and commits as
// it did at first, however long it does so. AKUPARA_MINUTES and
// AKUPARA_TYPES make the test a benchmark of many more.
func TestATableOfManyMinutesHasFewFiles(t *testing.T) {
	minutes, types := fromEnv(t, "AKUPARA_MINUTES", 70), fromEnv(t, "AKUPARA_TYPES", 2)
	root := storetest.FastDir(t)
	disk, err := local.New(root)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { // time passes while nothing is to be done
		st := &dated{FS: disk}
		st.note()
		parsers := "{"
		for i := range types {
			parsers += fmt.Sprintf("app%d: {parser: json}, ", i)
		}
		s := NewScheduler(configured(t, st, parsers+"}"), Options{})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		var writers []*writer
		for i := range types {
			writers = append(writers, newWriter(fmt.Sprint("app", i)))
		}
		writers[types-1].late = 3
		most := make([]kept, types)
		began, every := cpuTime(), max(10, minutes/20)
		for m := 1; m <= minutes; m++ {
			st.note()
			for _, w := range writers {
				publish(t, st, w.minute(time.Now()))
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			for i, w := range writers {
				k := onDisk(t, root, w.dataType)
				most[i].data, most[i].metadata = max(most[i].data, k.data), max(most[i].metadata, k.metadata)
				most[i].coverage, most[i].claims = max(most[i].coverage, k.coverage), max(most[i].claims, k.claims)
			}
			if m%every > 0 && m < minutes {
				continue
			}
			took := (cpuTime() - began) / time.Duration(every*types)
			for i, w := range writers {
				k := filesOf(t, root, st, w.dataType)
				if i == 0 || i == types-1 {
					t.Logf("after %d minutes: %v CPU a minute and type; %s: %s", m, took.Round(time.Millisecond/10), w.dataType, k)
				}
				if k.rows > w.lines || k.rows < w.lines-60 {
					t.Errorf("after %d minutes: %d rows of %d lines", m, k.rows, w.lines)
				}
			}
			began = cpuTime()
		}
		for i, k := range most {
			t.Logf("%s: at most %s", writers[i].dataType, k)
			files := 60
			if writers[i].late > 0 {
				files = 70
			}
			if k.data > files || k.metadata > 200 || k.coverage > 50 || k.claims > 0 {
				t.Errorf("%s: got up to %s: too many", writers[i].dataType, k)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// fromEnv returns a number of the environment, or a default.
func fromEnv(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// dated is a store in a time that passes faster than the disk's: its files have the
// times at which they were made as the process sees them.
type dated struct {
	store.FS
	mu    sync.Mutex
	disk  []time.Time // some moments on the disk's clock,
	seems []time.Time // and on the process's
}

// note notes what time it is.
func (d *dated) note() {
	var now syscall.Timeval
	_ = syscall.Gettimeofday(&now) // never fails
	d.mu.Lock()
	defer d.mu.Unlock()
	d.disk, d.seems = append(d.disk, time.Unix(now.Unix())), append(d.seems, time.Now())
}

func (d *dated) date(in *store.Info) {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := sort.Search(len(d.disk), func(i int) bool { return d.disk[i].After(in.Mod) })
	in.Mod = d.seems[max(0, after-1)]
}

func (d *dated) Stat(ctx context.Context, p string) (store.Info, error) {
	in, err := d.FS.Stat(ctx, p)
	d.date(&in)
	return in, err
}

func (d *dated) List(ctx context.Context, p string) ([]store.Info, error) {
	list, err := d.FS.List(ctx, p)
	for i := range list {
		d.date(&list[i])
	}
	return list, err
}

// writer writes the lines of a data type.
type writer struct {
	dataType string
	r        *rand.Rand
	at       map[string]int64
	lines    int64
	late     int // every so many minutes a line comes hours late; 0: none
	minutes  int
}

func newWriter(dataType string) *writer {
	return &writer{dataType: dataType, r: rand.New(rand.NewPCG(1, 2)), at: map[string]int64{}}
}

// minute returns what the last minute brought: some lines of three hosts, one of a
// hundred of them up to ten minutes late, some hours.
func (w *writer) minute(now time.Time) (chunks []chunk.Chunk) {
	w.minutes++
	for host := range 3 {
		stream := fmt.Sprint(w.dataType, "-", host)
		var body []byte
		for k := range 10 {
			at := now.Add(time.Duration(k*6-60) * time.Second)
			if w.r.IntN(100) == 0 {
				at = at.Add(-time.Duration(w.r.IntN(600)) * time.Second)
			}
			if w.late > 0 && w.minutes%w.late == 0 && host+k == 0 {
				at = at.Add(-time.Duration(1+w.r.IntN(8)) * time.Hour)
			}
			body = fmt.Appendf(body, `{"ts":%q,"level":"INFO","trace_id":"%016x","msg":"request done","status":%d}`+"\n",
				at.UTC().Format(time.RFC3339Nano), w.r.Uint64(), 200+w.r.IntN(5))
			w.lines++
		}
		first := w.at[stream]
		w.at[stream] = first + int64(len(body))
		chunks = append(chunks, chunk.Chunk{
			Type: w.dataType, Host: fmt.Sprint("host-", host), Source: "/log/app", Stream: stream,
			First: first, Last: w.at[stream], Time: now, Body: body,
		})
	}
	return chunks
}

// kept is what there is of a table: its data files and their rows, and the files on
// the disk, with those of before that readers may still read.
type kept struct {
	files, rows                      int64
	data, metadata, coverage, claims int
	archived                         int
}

func (k kept) String() string {
	return fmt.Sprintf("%d data files of %d rows; on the disk %d data files, %d metadata files, %d coverage files, %d claims, %d archived sink files",
		k.files, k.rows, k.data, k.metadata, k.coverage, k.claims, k.archived)
}

func filesOf(t *testing.T, root string, st store.FS, dataType string) (k kept) {
	t.Helper()
	tab, err := table.Open(t.Context(), st, baseURI, dataType)
	if err != nil {
		t.Fatal(err)
	}
	files, err := tab.Files(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	k.files = int64(len(files))
	for _, f := range files {
		k.rows += f.Records
	}
	disk := onDisk(t, root, dataType)
	disk.files, disk.rows = k.files, k.rows
	return disk
}

// onDisk returns what lies in a table's folders.
func onDisk(t *testing.T, root, dataType string) (k kept) {
	t.Helper()
	at := filepath.Join(root, store.Tables, dataType)
	k.data, k.metadata = filesBelow(t, at, "data"), filesBelow(t, at, "metadata")
	k.coverage, k.claims = filesBelow(t, at, "_coverage"), filesBelow(t, at, "_claims")
	k.archived = filesBelow(t, root, store.Archive, dataType)
	return k
}

func filesBelow(t *testing.T, dir ...string) (n int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir...), func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return nil //nolint:nilerr // it is gone by now, or not there
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
