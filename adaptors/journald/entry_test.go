package journald

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

func read(t testing.TB, in string, maxField int) (entry, error) {
	t.Helper()
	return newParser(strings.NewReader(in), maxField).next()
}

func TestFieldOverTheBoundIsCutAndMarked(t *testing.T) {
	e, err := read(t, `{"A":"0123456789é","B":"0123456789","C":[1,2,3,4,5,6,7,8,9,10,11,12],"D":["short",[255,1,2,3,4,5,6,7,8,9,10,11,12]],"__CURSOR":"s=1"}`, 11)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"A":"0123456789","B":"0123456789","C":[1,2,3,4,5,6,7,8,9,10,11],"D":["short",[255,1,2,3,4,5,6,7,8,9,10]],"__CUT":{"A":12,"C":12,"D":13}}` + "\n"
	if string(e.line) != want || e.cursor != "s=1" {
		t.Errorf("got %q %s, want %s", e.cursor, e.line, want)
	}
}

// journalctl gives the fields in another order each time.
func TestLineDoesNotDependOnTheOrderOfTheFields(t *testing.T) {
	var fields []string
	for i := range 60 {
		fields = append(fields, fmt.Sprintf(`"F%d":"%s"`, i, strings.Repeat("é", i*1500)))
	}
	want := ""
	for range 3 {
		rand.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		e, err := read(t, "{"+strings.Join(fields, ", ")+"}", 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			want = string(e.line)
		}
		if string(e.line) != want {
			t.Fatal("the same fields in another order give another line")
		}
	}
	if len(want) > maxKept+60*100 || !strings.Contains(want, `"F59":177000`) {
		t.Errorf("a line of %d bytes, want at most the bound, and its cuts told", len(want))
	}
}

func TestOutputThatIsNotUnderstoodIsAnError(t *testing.T) {
	for _, in := range []string{"x", "{", `{"A"`, `{"A":`, `{"A":}`, `{"A":"x`, `{"A":[1,`, `{"A":[256]}`, `{"A":[[]`, `{"A":{}}`, `{"A":"\x"}`, `{"A":"\u12"}`, `{"A":1x}`, `{"A":"a" "B":1}`} {
		if _, err := read(t, in, 100); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: got %v, want an error", in, err)
		}
	}
	if _, err := read(t, " \n", 100); !errors.Is(err, io.EOF) {
		t.Errorf("nothing: got %v, want io.EOF", err)
	}
}

func TestEntryIsTheSameWhicheverFileItIsReadFrom(t *testing.T) {
	const a = "s=1;i=2;b=3;m=4;t=5;x=6"
	for b, want := range map[string]bool{
		a: true, "s=1;i=2;b=3;m=4;t=5;x=7": true, "s=1;i=2;b=4;m=3;t=6;x=7": false, "s=1;i=3;b=3;m=4;t=5;x=8": false, "s=8;i=9;b=3;m=4;t=5;x=7": true, "s=1;i=3;b=3;m=4;t=6;x=6": false,
		"": false, "s=1": false, "s=8;i=2;b=3;m=5;t=5;x=6": false,
	} {
		if got := sameEntry(a, b); got != want {
			t.Errorf("%s: %v, want %v", b, got, want)
		}
	}
}

func TestPairsAreBoundedAndKeepTheirEnds(t *testing.T) {
	id := identity{Pairs: []pair{{}}}
	for i := int64(1); i <= 2000; i++ {
		id.add(pair{Off: i * 10}, i*5)
		if len(id.Pairs) > maxSettled+maxUnsettled+2 {
			t.Fatalf("%d pairs after %d", len(id.Pairs), i)
		}
		if at := id.Pairs[id.before(i*5)].Off; id.last().Off != i*10 || id.Pairs[0].Off != 0 || at > i*5 {
			t.Fatalf("after %d: from %d to %d, %d at or below what is settled", i, id.Pairs[0].Off, id.last().Off, at)
		}
		if _, err := decodeIdentity(id.encode()); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever journalctl writes, or a checkpoint holds: no panic, lines that are
// JSON, bounds kept, and a line that is read again gives itself.
func FuzzEntry(f *testing.F) {
	f.Add(`{"__CURSOR":"s=1;i=2","MESSAGE":"a\u00e9\n","X":[1,255],"Y":["a",[200],null],"__REALTIME_TIMESTAMP":"1"}`)
	f.Add(`{"A":"\ud83d\ude00\ud83d"}{"B":null}`)
	f.Add(`{"number":1,"pairs":[{"o":0},{"o":5,"c":"s=1"}]}`)
	f.Fuzz(func(t *testing.T, in string) {
		if id, err := decodeIdentity([]byte(in)); err == nil {
			id.add(pair{Off: id.last().Off + 1}, 3)
			_ = id.encode()
		}
		sameEntry(in, "s=1;i=2")
		p := newParser(strings.NewReader(in), 64)
		for {
			e, err := p.next()
			if err != nil {
				return
			}
			if !json.Valid(e.line) || !utf8.Valid(e.line) || e.line[len(e.line)-1] != '\n' {
				t.Fatalf("a line that is no JSON: %q", e.line)
			}
			again, err := read(t, string(e.line), 64)
			if err != nil && !strings.Contains(string(e.line), cutKey) {
				t.Fatalf("%q can't be read again: %v", e.line, err)
			}
			if err == nil && string(again.line) != string(e.line) {
				t.Fatalf("%q became %q", e.line, again.line)
			}
		}
	})
}

func BenchmarkEntry(b *testing.B) {
	in := strings.Repeat(`{"_HOSTNAME":"hh","PRIORITY":"3","__MONOTONIC_TIMESTAMP":"1000000","_SYSTEMD_UNIT":"a.service","TAG":["x","y"],"__CURSOR":"s=2a6274ecab0d427d8a6defcdca1e787f;i=1;b=0123456789abcdef0123456789abcdef;m=f4240;t=64bf38887c800;x=c3040992cb90ac6d","SYSLOG_IDENTIFIER":"tester","_PID":"12","_BOOT_ID":"0123456789abcdef0123456789abcdef","__REALTIME_TIMESTAMP":"1772359200000000","MESSAGE":"hello one, this is a message"}`+"\n", 1000)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		p := newParser(strings.NewReader(in), 64<<10)
		for {
			if _, err := p.next(); err != nil {
				break
			}
		}
	}
}
