package journald

import (
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
)

// another is another adaptor of the same agent, with the same entries.
func (w *world) another(name string) *world {
	b := &world{t: w.t, cfg: w.cfg, rec: w.rec, name: name}
	w.t.Cleanup(b.end)
	return b
}

func TestTheJournalGoesOnUnderAnotherAdaptorsName(t *testing.T) {
	j := newJournal(t)
	w := newWorld(t, "")
	j.add(10, nil)
	w.start()
	w.wait(1, 10) // nothing is settled
	w.end()
	w.rec.Stop(w.name)
	j.add(10, nil)
	b := w.another("b")
	b.start()
	b.wait(1, 20)
	if n := len(w.rec.KnownOf("b")); n != 1 || len(w.rec.Known()) != 1 {
		t.Errorf("b has %d streams of %d, want the one", n, len(w.rec.Known()))
	}
}

func TestOfTwoAdaptorsOfTheSameEntriesOneReadsThem(t *testing.T) {
	j := newJournal(t)
	w := newWorld(t, "")
	b := w.another("b")
	j.add(10, nil)
	w.start()
	b.start()
	w.wait(1, 10)
	reader, other := w, b
	if len(w.rec.KnownOf("b")) > 0 {
		reader, other = b, w
	}
	other.eventually("it says that the other reads them", func() bool {
		s := other.a.Status().Skipped
		return len(s) == 1 && strings.Contains(s[0].Reason, `adaptor "`+reader.name+`" of the same type`)
	})
	reader.end()
	w.rec.Stop(reader.name)
	j.add(10, nil)
	other.wait(1, 20)
	if s := other.a.Status().Skipped; len(s) != 0 || len(w.rec.KnownOf(other.name)) != 1 {
		t.Errorf("%v are skipped, it has the streams %v; want none, and the one there is", s, w.rec.KnownOf(other.name))
	}
}

func TestEntriesThatMayBeInTheTableAreToldWhenTheStateIsLost(t *testing.T) {
	j := newJournal(t)
	w := newWorld(t, "")
	j.add(20, nil)
	w.start()
	w.wait(1, 20)
	w.end()
	w.rec.Lose()
	j.vacuum(5)
	w.start()
	w.eventually("it comes again", func() bool { return len(w.messages()) == 35 })
	id, upTo := w.rec.Known()[0].ID, w.rec.Known()[0].Sent
	j.later = true
	j.add(5, nil)
	w.eventually("the doubt is told", func() bool { return len(w.rec.Facts(chunk.Doubtful)) == 1 })
	if got := w.rec.Facts(chunk.Doubtful)[0]; got.Stream != id || got.Range() != (chunk.Range{First: 0, Last: upTo}) {
		t.Errorf("got %v, want one of %s up to the entries that were there, %d", got, id, upTo)
	}
	w.end()
	w.start() // it is not settled yet
	w.eventually("the doubt is told again", func() bool { return len(w.rec.Facts(chunk.Doubtful)) == 2 })
}
