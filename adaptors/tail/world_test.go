package tail

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
)

// world is a folder of log files, what happens to them, and a model of what
// must arrive. Everything that is written is made of tokens. A token must
// arrive exactly once; where its bytes were destroyed before it arrived, and
// nobody had the chance to read them, it may be missing. A range of a stream
// that does not come must be told as lost by its offsets, whenever the tailer
// knew of it.
type world struct {
	*rig
	watch   string
	paths   map[string]*file // what matches, and data behind a link
	gone    []*file          // deleted, or nowhere that matches: readable while the tailer holds it
	away    map[string]string
	tokens  []*token
	n       int // tokens
	turn    int // names
	running bool
	refused bool
	past    map[string]bool  // streams of files that were truncated
	owed    map[string]int64 // by stream: what was seen of a file before its truncation
}

// file is one generation of a file's bytes.
type file struct {
	tokens  []*token
	ends    []int64 // of their lines; 0: not within it
	size    int64
	written bool // by its writer, who may have it open: no copy
	open    bool // ends within a line
	alike   bool // begins with lines that repeat each other
}

type token struct {
	text string
	may  bool // be missing
}

const sameHead = "every file of this kind starts with the very same kilobyte of text, which tells nothing\n"

func newWorld(t testing.TB, watch string) *world {
	w := &world{
		rig: newRig(t).with(watch), watch: watch, paths: map[string]*file{}, away: map[string]string{},
		past: map[string]bool{}, owed: map[string]int64{},
	}
	w.mkdir("sub")
	w.mkdir("data")
	w.swap()
	w.start()
	return w
}

func (w *world) times() times {
	t := testTimes()
	t.copies = time.Second // between copy and truncation on a busy machine
	return t
}

func (w *world) start() {
	if !w.running {
		w.startWith(w.times())
		w.running = true
	}
}

// halt stops or kills the tailer: what was only held open can't be read again.
func (w *world) halt(how func()) {
	if !w.running {
		return
	}
	how()
	w.running = false
	w.unheld()
}

func (w *world) unheld() {
	have := w.have()
	for _, f := range w.gone {
		w.destroyed(f, have)
	}
	w.gone = nil
	clear(w.owed)
}

// active names the files that are written to.
var active = []string{"a.log", "b.log", "sub/c.log", "cur.log"}

func (w *world) old(copies bool) []string {
	var out []string
	for path, f := range w.paths {
		if !slices.Contains(active, path) && (copies || f.written) && w.away[path] == "" {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

// put appends tokens to a file.
func (w *world) put(name string, n int, head bool, ending string) {
	f := w.paths[name]
	if f == nil {
		f = &file{written: true}
		w.paths[name] = f
	}
	var b strings.Builder
	if head && f.size == 0 {
		f.alike = true
		b.WriteString(strings.Repeat(sameHead, 1200/len(sameHead)))
	}
	for i := range n {
		w.n++
		tok := &token{text: fmt.Sprintf("<%06d>", w.n)}
		w.tokens = append(w.tokens, tok)
		f.tokens = append(f.tokens, tok)
		end := "\n"
		if i == n-1 {
			end = ending
		}
		b.WriteString(tok.text + " something that happened" + end)
		f.ends = append(f.ends, 0)
		if end != "" {
			f.ends[len(f.ends)-1] = f.size + int64(b.Len())
		}
	}
	f.open = ending == ""
	w.add(name, f, b.String())
}

// add writes where the file's data ends, be there zeros or nothing.
func (w *world) add(name string, f *file, text string) {
	out, err := os.OpenFile(w.path(name), os.O_CREATE|os.O_WRONLY, 0o644)
	w.ok(err)
	_, err = out.WriteAt([]byte(text), f.size)
	w.ok(err)
	w.ok(out.Close())
	f.size += int64(len(text))
}

// complete ends the lines that a writer has not ended yet: nothing else would
// let them come.
func (w *world) complete() {
	for _, name := range active {
		if f := w.paths[name]; f != nil && f.open {
			f.open = false
			w.add(name, f, "\n")
		}
	}
}

var tokenForm = regexp.MustCompile(`<\d{6}>`)

// have counts the tokens that came.
func (w *world) have() map[string]int {
	out := map[string]int{}
	for _, tok := range tokenForm.FindAllString(w.rec.Content(), -1) {
		out[tok]++
	}
	return out
}

// destroyed notes that what has not come of a file may never come.
func (w *world) destroyed(f *file, have map[string]int) {
	for _, tok := range f.tokens {
		tok.may = tok.may || have[tok.text] == 0
	}
}

// held reports whether the tailer has the file open, as a stream's.
func (w *world) held(name string) bool {
	if !w.running || !shows(w.rig, name) {
		return false
	}
	path, err := filepath.EvalSymlinks(w.path(name))
	w.ok(err)
	fds, err := os.ReadDir("/proc/self/fd")
	w.ok(err)
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && to == path {
			return true
		}
	}
	return false
}

// unlinked notes that a file is about to be deleted, or nowhere to be found.
func (w *world) unlinked(name string) {
	f := w.paths[name]
	delete(w.paths, name)
	if f == nil {
		return
	}
	if w.held(name) {
		w.gone = append(w.gone, f)
	} else {
		w.destroyed(f, w.have())
	}
}

func (w *world) next() int {
	w.turn++
	return w.turn
}

// swap lets the link point to a new file.
func (w *world) swap() {
	target := fmt.Sprintf("data/%d", w.next())
	w.ok(os.WriteFile(w.path(target), nil, 0o644))
	w.ok(os.Symlink(target, w.path("new")))
	w.rename("new", "cur.log")
	w.paths["cur.log"] = &file{written: true}
}

func pick(list []string, n int) string {
	if len(list) == 0 {
		return ""
	}
	return list[n%len(list)]
}

func (w *world) step(s step) {
	name := active[s.file%len(active)]
	f := w.paths[name]
	full := f != nil && f.size > 0
	link := name == "cur.log"
	switch s.what {
	case "write":
		w.put(name, 1+s.n, false, "\n")
	case "head":
		w.put(name, 1+s.n, true, "\n")
	case "half":
		w.put(name, 1, false, "")
	case "zeros": // take room ahead
		if f != nil {
			w.ok(os.Truncate(w.path(name), f.size+int64(1+s.n)<<12))
		}
	case "trim": // and give it back
		if f != nil {
			w.ok(os.Truncate(w.path(name), f.size))
		}
	case "late":
		if name := pick(w.old(false), s.file); name != "" {
			w.put(name, 1+s.n%3, false, "\n")
		}
	case "rename":
		if f != nil && !link {
			to := fmt.Sprintf("%s.%d", name, w.next())
			w.rename(name, to)
			w.paths[to] = f
			delete(w.paths, name)
		}
	case "copytruncate":
		if full && !link {
			w.copied(name, s.n%4 == 0)
		}
	case "cut": // to what is enough to know it by
		if f != nil && len(f.tokens) > 12 && !f.alike {
			w.cutBack(name, f, 12+s.n%(len(f.tokens)-12))
		}
	case "truncate", "rewrite":
		if full {
			w.truncated(name, f)
			if s.what == "rewrite" {
				w.put(name, 1+s.n, s.n%2 == 0, "\n")
			}
		}
	case "delete":
		if f != nil && !link {
			w.unlinked(name)
			w.remove(name)
		}
	case "gzip":
		if name := pick(w.old(true), s.file); name != "" {
			w.write(name+".gz", "\x1f\x8b\x08 compressed\n")
			w.unlinked(name)
			w.remove(name)
		}
	case "swap":
		w.unlinked("cur.log")
		w.swap()
	case "away":
		if f != nil && !link {
			to := fmt.Sprintf("away-%d", w.next())
			w.rename(name, to)
			w.away[to], w.paths[to] = name, f
			delete(w.paths, name)
		}
	case "back":
		w.back(pick(slices.Sorted(maps.Keys(w.away)), s.file))
	case "link": // a second name, for the rest of the time
		if f != nil && !link {
			w.ok(os.Link(w.path(name), w.path(fmt.Sprintf("%s.link%d.gz", name, w.next()))))
		}
	case "stop":
		w.halt(func() { w.stop() })
	case "kill":
		w.halt(w.kill)
	case "start":
		w.start()
	case "pause":
		if w.running {
			w.pause()
		}
	case "resume":
		w.resume()
	case "refuse":
		w.refused = true
		w.rec.Refuse(func(*chunk.Chunk) error { return errors.New("503") })
	case "accept":
		w.refused = false
		w.rec.Refuse(nil)
	case "settle":
		if w.running {
			w.rec.Settle(w.a)
		} else {
			w.rec.Settle(nil)
		}
	case "forget":
		w.forget()
	case "wait":
		if w.running && !w.refused {
			w.resume()
			w.complete()
			w.until("not all came", func() bool { return w.missing() == "" })
		}
	case "breathe":
		select {
		case <-w.rec.Changed():
		case <-time.After(time.Duration(s.n) * 5 * time.Millisecond):
		}
	default:
		w.t.Fatalf("there is no step %q", s.what)
	}
}

// copied does what logrotate's copytruncate does; raced: something is written
// between its copy and its truncation.
func (w *world) copied(name string, raced bool) {
	f := w.paths[name]
	to := fmt.Sprintf("%s.%d", name, w.next())
	b, err := os.ReadFile(w.path(name))
	w.ok(err)
	w.ok(os.WriteFile(w.path(to), b, 0o644))
	w.paths[to] = &file{tokens: f.tokens, size: f.size}
	f.tokens = nil
	if raced {
		w.put(name, 3, false, "\n")
	}
	w.truncated(name, f)
}

// cutBack truncates a file to its first tokens.
func (w *world) cutBack(name string, f *file, keep int) {
	size := f.ends[keep-1]
	if size == 0 {
		return
	}
	w.owe(name, f)
	rest := &file{tokens: f.tokens[keep:]}
	w.destroyed(rest, w.have())
	f.tokens, f.ends, f.size, f.open = f.tokens[:keep:keep], f.ends[:keep:keep], size, false
	w.ok(os.Truncate(w.path(name), size))
}

func (w *world) truncated(name string, f *file) {
	w.owe(name, f)
	w.destroyed(f, w.have())
	w.ok(os.Truncate(w.path(name), 0))
	w.paths[name] = &file{written: true}
}

// owe notes what the tailer saw of a file that is about to be truncated.
func (w *world) owe(name string, f *file) {
	if w.running {
		for _, src := range w.a.Status().Sources {
			if src.Path != w.path(name) || src.Stream == "" || w.past[src.Stream] {
				continue
			}
			if w.past[src.Stream] = true; src.Size == f.size {
				w.owed[src.Stream] = src.Size
			}
		}
	}
}

func (w *world) back(from string) {
	to := w.away[from]
	if to == "" || w.paths[to] != nil {
		return
	}
	w.rename(from, to)
	w.paths[to] = w.paths[from]
	delete(w.paths, from)
	delete(w.away, from)
}

// forget lets a collector lose everything that is not settled.
func (w *world) forget() {
	for _, k := range w.rec.Known() {
		if end := w.rec.Contiguous(k.ID, k.Settled); end > k.Settled {
			rg := chunk.Range{First: k.Settled, Last: end}
			w.rec.Forgive(k.ID, rg)
			if w.running {
				w.a.Resend(k.ID, rg)
			}
		}
	}
	// What is in no file any more, and came once, is gone for good.
	there := map[*token]bool{}
	for _, f := range append(slices.Collect(maps.Values(w.paths)), w.gone...) {
		for _, tok := range f.tokens {
			there[tok] = true
		}
	}
	have := w.have()
	for _, tok := range w.tokens {
		tok.may = tok.may || !there[tok] && have[tok.text] == 0
	}
}
