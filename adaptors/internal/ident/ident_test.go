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
