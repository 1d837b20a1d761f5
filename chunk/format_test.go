package chunk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro/ocf"
)

func sampleChunks() []Chunk {
	at := time.UnixMicro(1_700_000_000_123_456).UTC()
	return []Chunk{
		{Type: "app", Kind: Begin, Host: "h1", Source: "/var/log/a", Stream: "s1", First: 100, Last: 100, Time: at, Reason: "start: end"},
		{Type: "app", Host: "h1", Source: "/var/log/a", Stream: "s1", First: 100, Last: 110, Time: at, Body: []byte("line\nline\n")},
		{
			Type: "app", Host: "h2", Source: "df -Pk", Stream: "s2", First: 0, Last: 6, Time: at,
			Tags: map[string]string{"exit": "0", "pod": "x"}, Encoding: "iso-8859-1", Borders: []int64{2, 6}, Body: []byte("a\nbcd\n"),
		},
		{Type: "app", Kind: Lost, Host: "h1", Source: "/var/log/a", Stream: "s1", First: 110, Last: 120, Time: at, Reason: "truncated"},
		{Type: "app", Kind: Doubtful, Host: "h1", Source: "/var/log/a", Stream: "s1", First: 100, Last: 110, Time: at, Reason: "nothing is known of what was sent before"},
		{
			Type: "app", Host: "h1", Source: "/var/log/a", Stream: "s1", First: 120, Last: 140, Time: at, Reason: "drop rule 1, keep",
			Drops: []Drop{{Range{120, 123}, 0}, {Range{125, 130}, 2}, {Range{132, 140}, 4}}, Body: []byte("a\nb\n"),
		},
		{
			Type: "app", Host: "h1", Source: "/var/log/a", Stream: "s1", First: 140, Last: 150, Time: at, Reason: "keep",
			Drops: []Drop{{Range{144, 146}, 4}}, Borders: []int64{4, 8}, Body: []byte("a\nb\nc\nd\n"),
		},
	}
}

func build(t testing.TB, chunks ...Chunk) Batch {
	t.Helper()
	enc, err := NewEncoder()
	if err != nil {
		t.Fatal(err)
	}
	b := NewBuilder("agent-1", chunks[0].Type)
	for i := range chunks {
		if err := b.Add(&chunks[i]); err != nil {
			t.Fatalf("add chunk %d: %v", i, err)
		}
	}
	return b.Finish(enc, nil)
}

// sinkFile writes batches as a collector does.
func sinkFile(t testing.TB, batches ...Batch) []byte {
	t.Helper()
	index := Index{Type: batches[0].Type, Segment: "20260101T000000.000000Z-c-000001"}
	for i := range batches {
		index.Add(&batches[i])
	}
	var file bytes.Buffer
	w, err := NewSinkWriter(&file, &index)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		if err := w.WriteBlock(b.Block); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if int64(file.Len()) != w.Size() {
		t.Fatalf("the file has %d bytes, Size says %d", file.Len(), w.Size())
	}
	return file.Bytes()
}

func TestFrameKeepsHeaderAndBlock(t *testing.T) {
	want := build(t, sampleChunks()...)
	got, err := ParseFrame(want.Frame)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Header, want.Header) {
		t.Errorf("header:\n got %+v\nwant %+v", got.Header, want.Header)
	}
	if !bytes.Equal(got.Block, want.Block) {
		t.Error("the block differs")
	}
}

func TestBuilderIsReusable(t *testing.T) {
	enc, err := NewEncoder()
	if err != nil {
		t.Fatal(err)
	}
	b := NewBuilder("agent-1", "app")
	c := sampleChunks()[1]
	var frames [2][]byte
	for i := range frames {
		if err := b.Add(&c); err != nil {
			t.Fatal(err)
		}
		frames[i] = b.Finish(enc, nil).Frame
	}
	if !bytes.Equal(frames[0], frames[1]) {
		t.Error("the second batch differs from the first")
	}
}

func TestSinkFileGivesItsChunksBack(t *testing.T) {
	chunks := sampleChunks()
	file := sinkFile(t, build(t, chunks[:2]...), build(t, chunks[2:]...))
	s, err := ReadSink(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if s.Damage != nil {
		t.Errorf("damage: %v", s.Damage)
	}
	var got []Chunk
	for i := range s.Index.Blocks {
		data, err := s.ReadBlock(i, nil)
		if err != nil {
			t.Fatal(err)
		}
		c, _, err := s.Index.Blocks[i].Decode(s.Index.Type, data, nil)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, c...)
	}
	if !reflect.DeepEqual(got, chunks) {
		t.Errorf("\n got %+v\nwant %+v", got, chunks)
	}
}

// An Avro reader that is not ours sees the same records.
func TestSinkFileIsAnAvroContainerFile(t *testing.T) {
	chunks := sampleChunks()
	file := sinkFile(t, build(t, chunks[:2]...), build(t, chunks[2:]...))
	r, err := ocf.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range chunks {
		var got struct {
			Kind    string            `avro:"kind"`
			Host    string            `avro:"host"`
			Source  string            `avro:"source"`
			Stream  string            `avro:"stream"`
			First   int64             `avro:"first"`
			Last    int64             `avro:"last"`
			Time    time.Time         `avro:"time"`
			Tags    map[string]string `avro:"tags"`
			Enc     string            `avro:"encoding"`
			Borders any               `avro:"borders"`
			Reason  string            `avro:"reason"`
			Body    []byte            `avro:"body"`
		}
		if err := r.Decode(&got); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		if got.Kind != want.Kind.String() || got.Host != want.Host || got.Source != want.Source || got.Stream != want.Stream ||
			got.First != want.First || got.Last != want.Last || !got.Time.Equal(want.Time) || got.Enc != want.Encoding ||
			got.Reason != want.Reason || !bytes.Equal(got.Body, want.Body) || len(got.Tags) != len(want.Tags) ||
			(got.Borders == nil) != (want.Borders == nil && want.Drops == nil) {
			t.Errorf("record %d: got %+v, want %+v", i, got, want)
		}
	}
	var more any
	if err := r.Decode(&more); !errors.Is(err, io.EOF) {
		t.Errorf("after the last record: got %v, want EOF", err)
	}
}

// Each single damaged byte must be noticed, and cost no more than its block.
func TestEveryDamagedByteOfASinkFileIsNoticed(t *testing.T) {
	chunks := sampleChunks()
	file := sinkFile(t, build(t, chunks[:2]...), build(t, chunks[2:]...))
	for at := range file {
		bad := bytes.Clone(file)
		bad[at] ^= 0x41
		if noticed, err := damaged(bad); err != nil {
			t.Fatalf("byte %d: %v", at, err)
		} else if !noticed && !inMetadataText(file, at) {
			t.Errorf("byte %d of %d, in %q: damage was not noticed", at, len(file), file[max(0, at-20):min(len(file), at+20)])
		}
	}
}

// inMetadataText tells of bytes that are there for other readers: the schema
// and the key names of the header.
func inMetadataText(file []byte, at int) bool {
	start := bytes.Index(file, []byte(metaSchema)) - 2
	end := bytes.Index(file, []byte(metaIndex))
	return at >= start && at < end
}

func damaged(file []byte) (bool, error) {
	s, err := ReadSink(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return true, onlyInvalid(err)
	}
	if s.Damage != nil {
		return true, nil //nolint:nilerr // to be noticed is what is asked for
	}
	for i := range s.Index.Blocks {
		data, err := s.ReadBlock(i, nil)
		if err != nil {
			return true, onlyInvalid(err)
		}
		if _, _, err := s.Index.Blocks[i].Decode(s.Index.Type, data, nil); err != nil {
			return true, onlyInvalid(err)
		}
	}
	return false, nil
}

func onlyInvalid(err error) error {
	if errors.Is(err, ErrInvalid) {
		return nil
	}
	return fmt.Errorf("want ErrInvalid, got %w", err)
}

func TestACutSinkFileIsReadUpToTheCut(t *testing.T) {
	chunks := sampleChunks()
	file := sinkFile(t, build(t, chunks[:2]...), build(t, chunks[2:]...))
	cut := file[:len(file)-3]
	s, err := ReadSink(bytes.NewReader(cut), int64(len(cut)))
	if err != nil {
		t.Fatal(err)
	}
	if s.Damage == nil {
		t.Error("no damage reported")
	}
	if _, err := s.ReadBlock(0, nil); err != nil {
		t.Errorf("first block: %v", err)
	}
	if _, err := s.ReadBlock(1, nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("second block: got %v, want ErrInvalid", err)
	}
}

func TestFrameIsRefused(t *testing.T) {
	good := build(t, sampleChunks()...).Frame
	with := func(change func(b []byte) []byte) []byte { return change(bytes.Clone(good)) }
	for name, frame := range map[string][]byte{
		"empty":           {},
		"wrong magic":     with(func(b []byte) []byte { b[0] = 'X'; return b }),
		"cut":             with(func(b []byte) []byte { return b[:len(b)-1] }),
		"longer":          with(func(b []byte) []byte { return append(b, 0) }),
		"header's length": with(func(b []byte) []byte { b[7] = 0xff; return b }),
		"block's length":  with(func(b []byte) []byte { b[15] = 0xff; return b }),
		"header's bytes":  with(func(b []byte) []byte { b[frameFixed+3] ^= 1; return b }),
		"block's bytes":   with(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }),
	} {
		if _, err := ParseFrame(frame); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	good := sampleChunks()[1]
	for want, change := range map[string]func(c *Chunk){
		"data type":    func(c *Chunk) { c.Type = "Not OK" },
		"body of":      func(c *Chunk) { c.Last++ },
		"range":        func(c *Chunk) { c.First = -1 },
		"stream's id":  func(c *Chunk) { c.Stream = "" },
		"borders end":  func(c *Chunk) { c.Borders = []int64{3} },
		"not ascend":   func(c *Chunk) { c.Borders = []int64{5, 5, 10} },
		"has a body":   func(c *Chunk) { c.Kind = Lost },
		"is not known": func(c *Chunk) { c.Kind = 77 },
		"text field":   func(c *Chunk) { c.Source = strings.Repeat("x", MaxString+1) },
	} {
		c := good
		change(&c)
		if err := c.Check(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an invalid error with %q", err, want)
		}
	}
}

func FuzzParseFrame(f *testing.F) {
	f.Add(build(f, sampleChunks()...).Frame)
	f.Fuzz(func(t *testing.T, frame []byte) {
		fixCRCs(frame)
		b, err := ParseFrame(frame)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("want ErrInvalid, got %v", err)
			}
			return
		}
		index := Index{Type: b.Type, Segment: "s"}
		index.Add(&b)
		if _, _, err := index.Blocks[0].Decode(b.Type, b.Block, nil); err != nil && !errors.Is(err, ErrInvalid) {
			t.Fatalf("decode: want ErrInvalid, got %v", err)
		}
	})
}

// fixCRCs lets the fuzzer get past the sums.
func fixCRCs(frame []byte) {
	if n, err := FrameLen(frame); err == nil && n == len(frame) {
		headerLen := int(frame[4]) | int(frame[5])<<8 | int(frame[6])<<16
		putFixed(frame, frameFixed+headerLen)
	}
}

func FuzzReadSink(f *testing.F) {
	chunks := sampleChunks()
	file := sinkFile(f, build(f, chunks[:2]...), build(f, chunks[2:]...))
	f.Add(file)
	f.Add(joined(f, file, file))
	f.Fuzz(func(t *testing.T, file []byte) {
		if _, err := damaged(file); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkBuild(b *testing.B) {
	enc, _ := NewEncoder()
	body := bytes.Repeat([]byte("2026-01-02 03:04:05,678 INFO [main] org.x.Y: something happened to block 77\n"), 3000)
	c := Chunk{Type: "app", Host: "h", Source: "/var/log/a", Stream: "s", Last: int64(len(body)), Body: body}
	builder := NewBuilder("a", "app")
	var dst []byte
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		_ = builder.Add(&c)
		dst = builder.Finish(enc, dst).Frame
	}
}
