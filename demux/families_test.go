package demux

import (
	"fmt"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
)

func own(candidates, _ []string) []string { return candidates }

func TestForksHaveNoEnd(t *testing.T) {
	f := newFamilies(coverage.Set{})
	add := func(id, host string, r chunk.Range) {
		st, _ := f.stream(id, host, "/log", "")
		st.Cover(r, 0)
	}
	add("s", "h", span(0, 10))
	seen := map[string]bool{"s": true}
	const forks = 2*maxForks + 5
	for n := range forks {
		host := fmt.Sprint("clone-", n)
		at, fresh := f.place("s", own(f.candidates("s", host)), "", span(5, 10))
		if !fresh || seen[at] {
			t.Fatalf("fork %d: got %s, new: %v", n, at, fresh)
		}
		seen[at] = true
		add(at, host, span(5, 10))
	}
	if want := "s~1000~1000~5"; !seen[want] {
		t.Errorf("there is no fork %s", want)
	}
	// Each host's own is found again, also by a process that reads the table.
	f.commit()
	f = newFamilies(f.covered)
	for _, n := range []int{0, 999, 1000, forks - 1} {
		host := fmt.Sprint("clone-", n)
		c := own(f.candidates("s", host))
		if at, _ := f.place("s", c, "", span(10, 11)); len(c) != 2 || at != c[0] {
			t.Errorf("host %s goes on in %s of %v", host, at, c)
		}
	}
	if host := f.host("s~1000~1"); host != "clone-1000" {
		t.Errorf("s~1000~1 is of host %q, want clone-1000", host)
	}
}
