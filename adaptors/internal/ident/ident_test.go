package ident

import (
	"reflect"
	"strings"
	"testing"
)

func TestDeviceNumbersAreNoPartOfAnIdentity(t *testing.T) {
	info := Info{Dev: 1, Ino: 7, Birth: 99, Size: 5}
	id := New("/a.log", &info, []byte("hello"))
	info.Dev = 2 // as after a reboot
	if !id.SameInode(&info) {
		t.Error("the same file on a device of another number is taken for another file")
	}
	info.Birth = 0 // as on a network file system
	if !id.SameInode(&info) {
		t.Error("the same inode without a birth time is taken for another file")
	}
	info.Birth = 100
	if id.SameInode(&info) {
		t.Error("an inode that was used again, with another birth time, is taken for the same file")
	}
}

func TestHeadsAndTailsTellFilesApart(t *testing.T) {
	id := New("/a.log", &Info{}, []byte("hello"))
	for head, want := range map[string]bool{"hello": true, "hello and more": true, "hell": false, "Hello": false} {
		if got := id.SameHead([]byte(head)); got != want {
			t.Errorf("head %q: got %v, want %v", head, got, want)
		}
	}
	f := strings.NewReader("hello world")
	for pos, want := range map[int64]bool{5: true, 6: false, 100: false} {
		if got, err := SameTail(f, pos, Sum([]byte("hello"))); err != nil || got != want {
			t.Errorf("tail before %d: got %v, %v, want %v", pos, got, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	id := New("/a.log", &Info{Ino: 1, Birth: 2, Size: 3}, []byte("x"))
	f.Add(id.Encode())
	f.Add([]byte(`{"path":"/a","ino":1,"head_len":-1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(id.Encode())
		if err != nil || !reflect.DeepEqual(id, again) {
			t.Errorf("%q: decoded to %+v, and that again to %+v, %v", b, id, again, err)
		}
	})
}

func TestHeadThatEndedInZerosIsKnownWhenTheyAreWrittenOver(t *testing.T) {
	zeros := strings.Repeat("\x00", MaxHead)
	id := New("/a.log", &Info{}, []byte("one\n"+zeros))
	for head, want := range map[string]bool{
		"one\n" + zeros: true, "one\ntwo\n" + zeros: true, "one\n" + strings.Repeat("two\n", MaxHead): true,
		"one\ntwo\n": false, "two\n" + zeros: false, "on\n" + zeros: false, zeros + zeros: false,
	} {
		head = head[:min(len(head), MaxHead)]
		if got := id.Filled([]byte(head)); got != want {
			t.Errorf("%.12q, %d bytes: got %v, want %v", head, len(head), got, want)
		}
	}
}

func TestHeadWithoutZerosIsNotFilled(t *testing.T) {
	head := []byte(strings.Repeat("one\n", MaxHead/4))
	id := New("/a.log", &Info{}, head)
	if id.Filled(head) {
		t.Error("a head that did not end in zeros is taken for one that did")
	}
}

func TestHeadThatWasCutBackIsKnownByItsParts(t *testing.T) {
	text := strings.Repeat("neither long nor short\n", 100)
	for _, tt := range []struct{ had, cut, want int }{
		{2000, 2000, 1024}, {2000, 1024, 1024}, {2000, 1023, 512}, {2000, 512, 512}, {2000, 300, 256}, {2000, 63, 32}, {2000, 31, 0},
		{512, 511, 256}, {500, 500, 500}, {64, 63, 32}, {32, 31, 0}, {10, 10, 10}, {10, 9, 0},
	} {
		id := New("/a.log", &Info{}, []byte(text[:tt.had]))
		for _, more := range []string{"", "#something else"} {
			if got := id.Shared([]byte(text[:tt.cut] + more)); got != tt.want {
				t.Errorf("%d bytes cut back to %d, then %q: got %d, want %d", tt.had, tt.cut, more, got, tt.want)
			}
		}
	}
}

func TestMarksOfALargeFileAreFewAndEverywhere(t *testing.T) {
	var m Marks
	const chunk = 300 << 10
	for at := int64(chunk); at < 5<<30; at += chunk {
		m.Add(at, uint64(at))
		if len(m) > maxMarks {
			t.Fatalf("%d marks at %d", len(m), at)
		}
		last, most := int64(0), max(2*markEvery, at/8)
		for i, k := range append(m[:len(m):len(m)], Mark{At: at}) {
			if k.At-last > most || k.At < last {
				t.Fatalf("at %d: mark %d is at %d, the one before at %d", at, i, k.At, last)
			}
			last = k.At
		}
	}
	below := m.Below(m[5].At)
	if len(below) != 6 || below[5] != m[5] {
		t.Errorf("%d marks below the sixth and it, want 6", len(below))
	}
}

func TestLastMarkThatIsInTheFile(t *testing.T) {
	text := strings.Repeat("0123456789", 50)
	m := Marks{{100, Sum([]byte(text[:100]))}, {200, Sum([]byte(text[:200]))}, {300, 1}}
	for upTo, want := range map[int64]int64{99: 0, 100: 100, 199: 100, 200: 200, 500: 200} {
		if got, err := m.Last(strings.NewReader(text), upTo); err != nil || got != want {
			t.Errorf("up to %d: got %d, %v, want %d", upTo, got, err, want)
		}
	}
	if got, err := m.Last(strings.NewReader(text[:150]), 500); err != nil || got != 100 {
		t.Errorf("in a file that was cut: got %d, %v, want 100", got, err)
	}
}
