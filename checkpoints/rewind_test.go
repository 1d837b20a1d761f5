package checkpoints

import (
	"maps"
	"testing"
)

func TestRewoundPositionsStaySetBackOverAKill(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	want := map[string]int64{}
	to := map[string]int64{"nobody": 0}
	for _, c := range []struct{ begin, settled, to, want int64 }{
		{0, 100, 0, 0},
		{0, 100, 40, 40},
		{0, 100, 200, 100}, // never forward
		{30, 100, 0, 30},   // never below its beginning
		{0, 0, 10, 0},
	} {
		st := mustStream(t, s, "a", Stream{Source: "/x", Begin: c.begin})
		if err := s.Sent(st.ID, 100, 7); err != nil {
			t.Fatal(err)
		}
		if err := s.Settled(st.ID, c.settled); err != nil {
			t.Fatal(err)
		}
		want[st.ID], to[st.ID] = c.want, c.to
	}
	if err := s.Rewind(to); err != nil {
		t.Fatal(err)
	}
	positions := func(s *Store) map[string]int64 {
		out := map[string]int64{}
		for _, st := range s.Streams("a") {
			if st.Sent != 100 || st.Tail != 7 {
				t.Errorf("sent %d, fingerprint %d; want them untouched", st.Sent, st.Tail)
			}
			out[st.ID] = st.Settled
		}
		return out
	}
	if got := positions(s); !maps.Equal(got, want) {
		t.Errorf("at once: %v, want %v", got, want)
	}
	abandon(t, s)
	s = mustOpen(t, dir)
	if got := positions(s); !maps.Equal(got, want) {
		t.Errorf("after a kill: %v, want %v", got, want)
	}
	for id := range want { // and moves on from there
		if err := s.Settled(id, 101); err != nil {
			t.Fatal(err)
		}
		want[id] = 101
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir)
	defer s.Close()
	if got := positions(s); !maps.Equal(got, want) {
		t.Errorf("settled again: %v, want %v", got, want)
	}
	if s.Generation() < 3 {
		t.Errorf("generation %d after three starts, want at least 3", s.Generation())
	}
}
