package collectord

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro/ocf"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
	"github.com/akupara/akupara/store/open"
	"github.com/akupara/akupara/store/storetest"
)

// publishSome publishes records and gives their bodies, in order, and the sink
// file's bytes.
func publishSome(t *testing.T, s *setup) (bodies []string, file []byte) {
	t.Helper()
	r := s.start(t)
	for i := range 5 {
		at := time.UnixMicro(1_700_000_000_000_000)
		first, second := bodyOf(i), "Grüße\x00\xff\n"
		stream := bodyOf(i)
		r.mustSend(t, batchOf(t,
			chunk.Chunk{Type: "app", Host: "h", Source: "/s", Stream: stream, Last: int64(len(first)), Time: at, Body: []byte(first)},
			chunk.Chunk{Type: "app", Host: "h", Source: "/s", Stream: stream, First: int64(len(first)), Last: int64(len(first) + len(second)),
				Time: at, Tags: map[string]string{"pod": "x"}, Body: []byte(second)},
		).Frame)
		bodies = append(bodies, first, second)
	}
	r.stop()
	paths := sinks(t, s.fs)
	if len(paths) != 1 {
		t.Fatalf("sink files %v, want one", paths)
	}
	return bodies, storetest.Get(t, s.fs, paths[0])
}

func TestAnotherAvroLibraryReadsSinkFiles(t *testing.T) {
	want, file := publishSome(t, newSetup(t))
	r, err := ocf.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		var record map[string]any
		if err := r.Decode(&record); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		body, ok := record["body"].([]byte)
		if !ok {
			t.Fatalf("record %v has no body of bytes", record)
		}
		got = append(got, string(body))
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("bodies %q, want %q", got, want)
	}
}

func TestFastavroReadsSinkFiles(t *testing.T) {
	python, err := filepath.Abs("../.tools/venv/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(python); err != nil {
		t.Skipf("SKIPPED: fastavro is not installed (deploy/hadoop/readers.sh does it): %v", err)
	}
	want, file := publishSome(t, newSetup(t))
	name := filepath.Join(t.TempDir(), "x.avro")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), python, "-c", `
import sys, fastavro
with open(sys.argv[1], "rb") as f:
    for r in fastavro.reader(f):
        sys.stdout.write(r["body"].hex() + "\n")
`, name).CombinedOutput()
	if err != nil {
		t.Fatalf("fastavro: %v\n%s", err, out)
	}
	var hexes []string
	for _, b := range want {
		hexes = append(hexes, hex(b))
	}
	if got := strings.Fields(string(out)); strings.Join(got, " ") != strings.Join(hexes, " ") {
		t.Errorf("bodies %v, want %v", got, hexes)
	}
}

func hex(s string) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte(digits[s[i]>>4])
		b.WriteByte(digits[s[i]&15])
	}
	return b.String()
}

func TestCollectorPublishesOnHDFS(t *testing.T) {
	uri := storetest.SharedCluster(t)
	fs, err := open.Open(uri, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := newSetup(t)
	s.fs = fs
	s.cfg.Drain = config.Duration(30 * time.Second)
	bodies, file := publishSome(t, s)
	if sink, err := chunk.ReadSink(bytes.NewReader(file), int64(len(file))); err != nil || len(sink.Index.Blocks) != len(bodies)/2 {
		t.Errorf("the sink file on HDFS: %v", err)
	}
	p := sinks(t, fs)[0]
	move(t, fs, store.Archive, p)
	r := s.start(t)
	states, answer := r.states(t, query("app", store.SegmentOf(p), 4), query("app", store.SegmentOf(p), 5))
	if len(states) != 2 || states[0] != "settled" || states[1] != "unknown" {
		t.Errorf("states %v (%d %s), want settled and unknown", states, answer.status, answer.body)
	}
}

// A bench in miniature: many agents, large batches, bounded memory.
func TestBodiesInMemoryAreBounded(t *testing.T) {
	s := newSetup(t)
	fs, err := local.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.fs = fs
	s.cfg.MaxInFlight = chunk.MaxFrameLen
	r := s.start(t)
	// Half a body holds nearly all the memory; the others wait, unread.
	slow, feed := io.Pipe()
	big := int64(chunk.MaxFrameLen)
	done := make(chan reply, 1)
	go func() { done <- r.post(t, "/v1/batches", slow, big) }()
	eventually(t, "the large body has its memory", func() bool {
		if r.memory.TryAcquire(1 << 20) {
			r.memory.Release(1 << 20)
			return false
		}
		return true
	})
	frame := batch(t, "app", "s", 0, "x").Frame
	answered := make(chan reply, 1)
	go func() {
		_, answer := r.send(t, frame)
		answered <- answer
	}()
	select {
	case a := <-answered:
		t.Errorf("a batch was taken without memory: %d %s", a.status, a.body)
	case <-time.After(100 * time.Millisecond):
	}
	feed.CloseWithError(io.ErrUnexpectedEOF)
	<-done
	if a := <-answered; a.status != 200 {
		t.Errorf("once there is memory: %d %s", a.status, a.body)
	}
}
