package demux

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
)

// secrets are what steps take out of the records of secretive.
var secrets = []string{"example.org", "4111", "hunter2", "10.9.8.7", "078-05", "mallory"}

// secretive are chunks whose records hold secrets wherever there may be some: in
// messages, keys, numbers, lists, what can't be parsed, stack traces and attributes.
func secretive(streams, lines int) (out [][]chunk.Chunk) {
	at := map[int]int64{}
	for c := range 3 {
		for s := range streams {
			var body []byte
			for l := range lines {
				n := c*lines + l
				body = fmt.Appendf(body, `{"ts":"2026-01-02T%02d:00:00Z","msg":"user u%d@example.org paid by 4111 1111 1111 1111 from 10.9.8.7:80","n":%d,`, n%3, n%5, n)
				switch n % 6 {
				case 0:
					body = append(body, `"card":4111111111111111,"user":{"id":"mallory"}}`...)
				case 1:
					body = append(body, `"card":"none","password":"hunter2","m":{"a@example.org":1}}`...)
				case 2:
					body = append(body, `"list":["b\u0040example.org",1],"payload":"{\"to\":\"c@example.org\",\"ssn\":\"078-05-1120\"}"}`...)
				case 3:
					body = append(body, `"ssn":"078-05-1120","payload":"password=hunter2 of d@example.org"`...) // it is not whole
				case 4:
					body = append(body, `"msg":"again e@example.org","level":"f@example.org","ts":"g@example.org"}`...)
				case 5:
					body = append(body, "\"card\":true,\"bin\":\"\xff h@example.org \xfe\",\"error\":{\"stack\":\"a\\n at i@example.org\"}}"...)
				}
				body = append(body, '\n')
			}
			out = append(out, []chunk.Chunk{{
				Type: "app", Host: "h", Source: "/log", Stream: fmt.Sprint("s", s), First: at[s], Last: at[s] + int64(len(body)),
				Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Body: body,
			}})
			at[s] += int64(len(body))
		}
	}
	return out
}

const secretiveSteps = `{app: {parser: json, steps: [
  {parse: {column: payload, parser: json, prefix: p.}},
  {rename: {user: who}},
  {redact: {columns: [who.id, ssn, p.ssn], with: %[1]s}},
  {redact: {what: [email, card, token, ip], with: %[1]s}}]}}`

// hashed writes a key, and returns what hashes with it.
func hashed(t *testing.T) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(at, []byte("0123456789abcdef0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return "hash, key_file: " + at
}

// everywhere calls do with all that files below a folder of a store hold: their bytes,
// and of data files each value and each entry of a dictionary.
func everywhere(t *testing.T, st store.FS, dir string, do func(file string, b []byte)) {
	t.Helper()
	list, err := st.List(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range list {
		if info.IsDir {
			everywhere(t, st, info.Path, do)
			continue
		}
		f, err := st.Open(t.Context(), info.Path)
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, f.Size())
		if _, err := f.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		f.Close()
		do(info.Path, data)
		if path.Ext(info.Path) == ".parquet" {
			everyValue(t, data, func(b []byte) { do(info.Path, b) })
		}
	}
}

func everyValue(t *testing.T, data []byte, do func(b []byte)) {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range f.RowGroups() {
		for _, c := range g.ColumnChunks() {
			pages := c.Pages()
			for {
				p, err := pages.ReadPage()
				if err != nil {
					break
				}
				if d := p.Dictionary(); d != nil {
					for i := range d.Len() {
						do([]byte(d.Index(int32(i)).String()))
					}
				}
				values := make([]parquet.Value, p.NumValues())
				n, _ := p.Values().ReadValues(values)
				for _, v := range values[:n] {
					do([]byte(v.String()))
				}
			}
			pages.Close()
		}
	}
}

func TestNothingThatIsRedactedIsInAnyFileOfATable(t *testing.T) {
	for _, with := range []string{"mask", hashed(t)} {
		st := testStore(t)
		d := configured(t, st, fmt.Sprintf(secretiveSteps, with))
		want := 0
		for _, b := range secretive(3, 60) {
			publish(t, st, b)
			want += 60
		}
		for runOnce(t, d).Bytes > 0 {
		}
		seen := 0
		everywhere(t, st, store.Tables, func(file string, b []byte) {
			seen++
			for _, s := range secrets {
				if bytes.Contains(b, []byte(s)) {
					t.Errorf("%s holds %q: %.200q", file, s, b)
				}
			}
		})
		rows := wholeTable(t, st)
		if len(rows) != want || seen < want {
			t.Errorf("%d rows, %d values seen; want %d", len(rows), seen, want)
		}
		for _, r := range rows[:6] {
			if !strings.HasPrefix(r["message"], "user [email") && !strings.HasPrefix(r["message"], "{") {
				t.Errorf("got the message %q", r["message"])
			}
		}
	}
}

// Rows are the same in whatever parts they are parsed, by tasks that get the config's
// text, and by a redo of what had no steps.
func TestStepsMakeTheSameRowsByTasksAndByRedo(t *testing.T) {
	types := fmt.Sprintf(secretiveSteps, hashed(t))
	here, there, again := testStore(t), testStore(t), testStore(t)
	for i, b := range secretive(3, 60) {
		for _, st := range []store.FS{here, there, again} {
			publish(t, st, b)
		}
		if i%3 == 2 {
			runOnce(t, configured(t, here, types))
			away := testDemux(t, there, func(c *Config) { *c, _ = configOf("types: " + types) })
			away.spreadBy(localEngine(there))
			away.tasks.least, away.tasks.of = 1, 4000
			runOnce(t, away)
			runOnce(t, configured(t, again, "{app: {parser: raw}}"))
		}
	}
	if _, err := configured(t, again, types).Redo(t.Context(), Redo{Type: "app"}, 0); err != nil {
		t.Fatal(err)
	}
	want := everyRow(t, here)
	for name, got := range map[string]map[string]string{"tasks": everyRow(t, there), "redo": everyRow(t, again)} {
		if len(got) != len(want) {
			t.Errorf("%s: %d rows, want %d", name, len(got), len(want))
		}
		for _, key := range slices.Sorted(maps.Keys(want)) {
			if got[key] != want[key] {
				t.Errorf("%s: row %s is\n%s\nwant\n%s", name, key, got[key], want[key])
				break
			}
		}
	}
}

// A task on a machine that has another key does nothing, instead of other hashes.
func TestATaskWithoutTheKeyFails(t *testing.T) {
	with := hashed(t)
	types := fmt.Sprintf(secretiveSteps, with)
	st := testStore(t)
	publish(t, st, secretive(1, 60)[0])
	d := testDemux(t, st, func(c *Config) { *c, _ = configOf("types: " + types) })
	d.spreadBy(localEngine(st))
	d.tasks.least, d.tasks.of = 1, 4000
	file := strings.TrimPrefix(with, "hash, key_file: ")
	for _, change := range []func() error{
		func() error { return os.WriteFile(file, []byte("another key of 32 bytes, or more than that"), 0o600) },
		func() error { return os.Remove(file) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if rep, err := d.RunType(t.Context(), "app"); err == nil || !strings.Contains(err.Error(), "key") {
			t.Errorf("got %+v and %v, want an error about the key", rep, err)
		}
	}
}
