package receipts

import (
	"slices"
	"testing"

	"github.com/akupara/akupara/chunk"
)

func TestBoxKeepsWhatIsToldUntilItIsTaken(t *testing.T) {
	var b Box
	if got := b.Take(); len(got) != 0 {
		t.Errorf("an empty box gives %v", got)
	}
	b.Settled("a", 7)
	b.Settled("a", 5)
	b.Resend("a", chunk.Range{First: 1, Last: 2})
	b.Resend("b", chunk.Range{First: 3, Last: 3})
	select {
	case <-b.Wake():
	default:
		t.Error("no token came")
	}
	got := b.Take()
	if a := got["a"]; a.Settled != 7 || a.Receipts != 2 || !slices.Equal(a.Resend, []chunk.Range{{First: 1, Last: 2}}) {
		t.Errorf("of a: got %+v", a)
	}
	if l := got["b"]; l.Receipts != 0 || len(l.Resend) != 1 {
		t.Errorf("of b: got %+v", l)
	}
	if got := b.Take(); len(got) != 0 {
		t.Errorf("taken twice: %v", got)
	}
}
