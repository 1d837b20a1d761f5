package reload

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/config"
)

type numbers struct {
	Live  int `config:"live"`
	Fixed int `config:"fixed"`
}

// A file is applied to all daemons or to none: what one has prepared is dropped where
// another can't follow, and while not all run nothing is applied.
func TestAFileIsAppliedToAllOrToNone(t *testing.T) {
	sections := func(one, two numbers) map[string]Section {
		return map[string]Section{"one": {Config: one}, "two": {Config: two}}
	}
	next, hash := sections(numbers{}, numbers{}), "first"
	r := New(&File{Path: "c.yaml", Hash: hash, Running: next, Load: func() (map[string]Section, string, error) { return next, hash, nil }}, slog.New(slog.DiscardHandler))
	var did []string
	var refuses error
	join := func(name string) (leave func()) {
		return r.Join(Part{Section: name, Live: []string{"live"}, Prepare: func(any, []string) (Change, error) {
			if name == "two" && refuses != nil {
				return Change{}, refuses
			}
			return Change{Apply: func() { did = append(did, name+" applied") }, Drop: func() { did = append(did, name+" dropped") }}, nil
		}})
	}
	join("one")
	if _, err := r.Reload("test"); !errors.Is(err, ErrStarting) {
		t.Errorf("while one of two runs: %v, want %v", err, ErrStarting)
	}
	leave := join("two")
	want := func(what string, err, cause error, changes ...string) {
		t.Helper()
		if !errors.Is(err, cause) || !slices.Equal(did, changes) {
			t.Errorf("%s: %v, and %q; want %v and %q", what, err, did, cause, changes)
		}
		did = nil
	}
	next, hash, refuses = sections(numbers{Live: 1}, numbers{Live: 1}), "second", errors.New("no room")
	_, err := r.Reload("test")
	want("one can't follow", err, ErrUnfit, "one dropped")
	if s := r.Status(); s.Generation != 1 || s.Refused == nil || s.Refused.Hash != "second" || !strings.Contains(s.Refused.Error, "two: no room") {
		t.Errorf("got %+v, want the first config and why the second is refused", s)
	}
	refuses = nil
	out, err := r.Reload("test")
	want("all can", err, nil, "one applied", "two applied")
	if s := r.Status(); s.Generation != 2 || s.Refused != nil || !slices.Equal(out["two"].Keys, []string{"live"}) {
		t.Errorf("got %+v and %+v, want the second config", s, out)
	}
	next, hash = sections(numbers{Live: 2}, numbers{Live: 1, Fixed: 7}), "third"
	_, err = r.Reload("test")
	var restart RestartError
	var problems config.Problems
	if !errors.As(err, &restart) || !errors.As(err, &problems) || len(problems) != 1 {
		t.Errorf("got %v, want the one key that needs a restart", err)
	}
	want("a key needs a restart", nil, nil)
	leave()
	if _, err := r.Reload("test"); !errors.Is(err, ErrStarting) {
		t.Errorf("once one has ended: %v, want %v", err, ErrStarting)
	}
}

func TestAConfigIsShownToItsOwnMachineAlone(t *testing.T) {
	r := New(nil, slog.New(slog.DiscardHandler))
	get, again := r.Handlers("one", numbers{Live: 3})
	for from, status := range map[string]int{"127.0.0.1:1": 200, "[::1]:1": 200, "@": 200, "10.0.0.7:1": 403} {
		req := httptest.NewRequest(http.MethodGet, "http://localhost/v1/config", nil)
		req.RemoteAddr = from
		w := httptest.NewRecorder()
		get.ServeHTTP(w, req)
		if w.Code != status || status == 200 && !strings.Contains(w.Body.String(), `"live":3`) {
			t.Errorf("from %s: %d %s, want %d", from, w.Code, w.Body, status)
		}
	}
	req := httptest.NewRequest(http.MethodPost, "http://localhost/v1/config/reload", nil)
	req.RemoteAddr = "127.0.0.1:1"
	w := httptest.NewRecorder()
	if again.ServeHTTP(w, req); w.Code != 409 {
		t.Errorf("without a file: %d %s, want 409", w.Code, w.Body)
	}
}
