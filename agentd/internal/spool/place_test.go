package spool

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/akupara/akupara/chunk"
)

func TestRecordsOfARemovedSpoolAreSentAndStoredAgain(t *testing.T) {
	for name, remove := range map[string]func(dir string) error{
		"removed":    os.RemoveAll,
		"moved away": func(dir string) error { return os.Rename(dir, dir+".away") },
		"replaced": func(dir string) error {
			if err := os.Rename(dir, dir+".away"); err != nil {
				return err
			}
			return os.CopyFS(dir, os.DirFS(dir+".away"))
		},
	} {
		for _, noticed := range []string{"by whoever looks", "by a write"} {
			if name != "removed" && noticed == "by a write" {
				continue // a file that is somewhere still is not worth a look at each write
			}
			t.Run(name+", noticed "+noticed, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "spool")
				s := open(t, Config{Dir: dir})
				add(t, s, Block, "one", "two")
				if err := s.Whole(); err != nil {
					t.Fatalf("before: %v", err)
				}
				if err := remove(dir); err != nil {
					t.Fatal(err)
				}
				if err := s.Whole(); err == nil {
					t.Error("after: want that it says what is wrong")
				}
				if noticed == "by whoever looks" {
					if err := s.Mend(); err != nil {
						t.Fatal(err)
					}
					if err := s.Whole(); err != nil {
						t.Errorf("mended: %v", err)
					}
				} else if err := os.Mkdir(dir, 0o700); err != nil { // for the look at the disk's free bytes
					t.Fatal(err)
				}
				add(t, s, Block, "three")
				o := newOut()
				stop := start(t, s, o)
				got := bodies(o.wait(t, "what was there before", data(3)))
				if want := []string{"one", "two", "three"}; !slices.Equal(got, want) {
					t.Errorf("sent: got %q, want %q", got, want)
				}
				add(t, s, Block, "four")
				o.wait(t, "what came behind it", data(4))
				stop()
				s.Close()

				s, o = open(t, Config{Dir: dir}), newOut()
				start(t, s, o)
				got = bodies(o.wait(t, "what is on the disk", ended(1)))
				if want := []string{"one", "two", "three", "four"}; !slices.Equal(got, want) {
					t.Errorf("after a start: got %q, want %q", got, want)
				}
			})
		}
	}
}

// The sender has the file open when it goes.
func TestRemovedSpoolIsReadOnWhereItIs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s, o := open(t, Config{Dir: dir}), newOut()
	start(t, s, o)
	want := []string{}
	for _, body := range []string{"a", "b", "c", "d", "e", "f"} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := s.Mend(); err != nil {
			t.Fatal(err)
		}
		add(t, s, Block, body)
		want = append(want, body)
		got := o.wait(t, body, data(len(want)))
		if got := bodies(got); !slices.Equal(got, want) {
			t.Fatalf("sent: got %q, want %q", got, want)
		}
		for _, c := range got {
			if c.Kind == chunk.Lost {
				t.Fatalf("%v was told as lost", c.Range())
			}
		}
	}
}

func TestSegmentsThatAreGoneAreToldAsLost(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := open(t, Config{Dir: dir, SegmentBytes: 1})
	add(t, s, Block, "one", "two", "three") // a segment each
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := s.Mend(); err != nil {
		t.Fatal(err)
	}
	o := newOut()
	start(t, s, o)
	got := o.wait(t, "the last", data(1))
	if want := []string{"three"}; !slices.Equal(bodies(got), want) {
		t.Errorf("sent: got %q, want %q", bodies(got), want)
	}
	lost := chunk.Ranges{}
	for _, c := range got {
		if c.Kind == chunk.Lost {
			lost = lost.Add(c.Range())
		}
	}
	if want := (chunk.Range{Last: 6}); len(lost) != 1 || lost[0] != want {
		t.Errorf("told as lost: got %v, want %v", lost, want)
	}
}
