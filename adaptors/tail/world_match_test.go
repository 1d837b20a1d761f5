package tail

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// missing tells what has not come, or came twice.
func (w *world) missing() string {
	have := w.have()
	var out []string
	for _, tok := range w.tokens {
		switch n := have[tok.text]; {
		case n > 1:
			w.t.Fatalf("%s came %d times", tok.text, n)
		case n == 0 && !tok.may && !w.isAway(tok):
			out = append(out, tok.text)
		}
	}
	if len(out) > 8 {
		out = append(out[:8], "and more")
	}
	return strings.Join(out, " ")
}

// isAway: its file is where nothing matches, and may not have been seen before.
func (w *world) isAway(tok *token) bool {
	for from := range w.away {
		if slices.Contains(w.paths[from].tokens, tok) {
			return true
		}
	}
	return false
}

// end brings everything back to normal and waits for what must be.
func (w *world) end() {
	w.refused = false
	w.rec.Refuse(nil)
	w.resume()
	for from, to := range w.away {
		if w.paths[to] != nil {
			w.unlinked(to)
			w.remove(to)
		}
		w.back(from)
	}
	w.complete()
	w.start()
	w.until("not all came", func() bool { return w.missing() == "" })
	w.until("not all was told", func() bool { return w.unexplained(false) == "" })
	w.halt(func() { w.stop() })
	t := w.times()
	t.missing = 50 * time.Millisecond
	w.cfg.Rescan = config.Duration(20 * time.Millisecond)
	w.startWith(t)
	w.running = true
	w.until("not all was told of what was not found again", func() bool { return w.missing() == "" && w.unexplained(true) == "" })
	w.halt(func() { w.stop() })
	may := 0
	for _, tok := range w.tokens {
		if tok.may {
			may++
		}
	}
	w.t.Logf("%d tokens, %d of them could be lost, %d came; %d chunks, %d of them tell of losses", len(w.tokens), may, len(w.have()),
		len(w.rec.Chunks()), len(w.rec.Facts(chunk.Lost)))
}

// unexplained tells which ranges neither came nor were told as lost: of those
// that the tailer saw destroyed and, with sent, of all that were ever sent.
func (w *world) unexplained(sent bool) string {
	want := maps.Clone(w.owed)
	begin := map[string]int64{}
	for _, k := range w.rec.Known() {
		begin[k.ID] = k.Begin
		if sent {
			want[k.ID] = max(want[k.ID], k.Sent)
		}
	}
	for _, c := range w.rec.Chunks() {
		if sent && c.Kind == chunk.Data {
			want[c.Stream] = max(want[c.Stream], c.Last)
		}
		if c.Kind == chunk.Begin {
			begin[c.Stream] = c.First
		}
	}
	var out []string
	for id, end := range want {
		if got := w.rec.Contiguous(id, begin[id]); got < end {
			out = append(out, fmt.Sprintf("%s [%d,%d)", id, got, end))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (w *world) describe() string {
	var b strings.Builder
	have := w.have()
	for _, tok := range w.tokens {
		if n := have[tok.text]; n > 1 || n == 0 && !tok.may {
			fmt.Fprintf(&b, "%s came %d times:", tok.text, n)
			for _, id := range w.rec.Streams() {
				if at := strings.Index(string(w.rec.Bytes(id)), tok.text); at >= 0 {
					fmt.Fprintf(&b, " at %d of %s", at, id)
				}
			}
			b.WriteByte('\n')
		}
	}
	fmt.Fprintf(&b, "unexplained: %s\n%s", w.unexplained(true), w.known())
	for _, c := range w.rec.Chunks() {
		fmt.Fprintf(&b, "%s %v %v %s %q\n", c.Stream, c.Kind, c.Range(), c.Source, c.Reason)
	}
	return b.String()
}
