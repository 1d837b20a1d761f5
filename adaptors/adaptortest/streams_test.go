package adaptortest

import (
	"errors"
	"testing"

	"github.com/akupara/akupara/adaptors"
)

func ids(streams []adaptors.Stream) string {
	out := ""
	for _, s := range streams {
		out += s.ID + " "
	}
	return out
}

func open(t *testing.T, env adaptors.Env, s adaptors.Stream) string {
	t.Helper()
	s.Identity = []byte("i")
	out, err := env.Streams.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return out.ID
}

func TestRecorderGivesStreamsFromOneAdaptorToAnother(t *testing.T) {
	r := NewRecorder()
	a, b := r.EnvOf("a"), r.EnvOf("b")
	id := open(t, a, adaptors.Stream{})
	if got := ids(b.Streams.Others()); got != id+" " {
		t.Errorf("others while a runs: got %q, want %s", got, id)
	}
	var held adaptors.HeldError
	if _, err := b.Streams.Take(id); !errors.Is(err, adaptors.ErrHeld) || !errors.As(err, &held) || held.Adaptor != "a" {
		t.Errorf("take of what a holds: got %v, want ErrHeld by a", err)
	}
	a.Streams.Release(id)
	if _, err := b.Streams.Take(id); err != nil {
		t.Errorf("take of what was released: %v", err)
	}
	if _, err := a.Streams.Take(id); !errors.Is(err, adaptors.ErrHeld) {
		t.Errorf("take by a of what b holds: got %v, want ErrHeld", err)
	}
	if err := a.Streams.Sent(id, 1, 1); !errors.Is(err, adaptors.ErrHeld) {
		t.Errorf("a journals what b holds: got %v, want ErrHeld", err)
	}
	r.Stop("b")
	if _, err := a.Streams.Take(id); err != nil {
		t.Errorf("take after b was stopped: %v", err)
	}
	a.Streams.Release(id)
	if _, err := r.EnvOf("b").Streams.Take(id); err != nil {
		t.Errorf("take by b, started again: %v", err)
	}
	r.Kill()
	b = r.EnvOf("b")
	if got := ids(b.Streams.Known()); got != id+" " {
		t.Errorf("known to b after a crash: got %q, want %s", got, id)
	}
}

func TestRecorderDerivesTheSameIDAgainAfterTheStateIsLost(t *testing.T) {
	r := NewRecorder()
	env := r.Env()
	if !env.Streams.Fresh() {
		t.Error("a new recorder is not fresh")
	}
	first := open(t, env, adaptors.Stream{Origin: "o"})
	if second := open(t, env, adaptors.Stream{Origin: "o"}); second == first {
		t.Errorf("two live streams have the id %s", first)
	}
	restore := r.Backup()
	late := open(t, env, adaptors.Stream{Origin: "late"})
	r.Kill()
	if r.Env().Streams.Fresh() {
		t.Error("fresh after a crash")
	}
	r.Lose()
	if env = r.Env(); !env.Streams.Fresh() || len(env.Streams.Known()) > 0 {
		t.Error("after the state is lost: want it fresh and nothing known")
	}
	if again := open(t, env, adaptors.Stream{Origin: "o"}); again != first {
		t.Errorf("id after the loss: got %s, want %s", again, first)
	}
	restore()
	env = r.Env()
	if n := len(env.Streams.Known()); n != 2 {
		t.Errorf("known after the restore: got %d streams, want the 2 of the backup", n)
	}
	if again := open(t, env, adaptors.Stream{Origin: "late"}); again != late {
		t.Errorf("id after the restore: got %s, want %s", again, late)
	}
	if fork := open(t, env, adaptors.Stream{Fork: late, Origin: "x"}); len(fork) <= len(late) || fork[:len(late)+1] != late+"~" {
		t.Errorf("a fork of %s got the id %s", late, fork)
	}
}
