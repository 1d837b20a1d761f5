package trouble

import (
	"reflect"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store/local"
	"github.com/akupara/akupara/store/storetest"
)

func TestWhatIsWrittenIsReadUntilItIsOver(t *testing.T) {
	st, err := local.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	read := func(want *Trouble) {
		t.Helper()
		got, err := Read(t.Context(), st, "app")
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	read(nil)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	want := &Trouble{
		Failing: &Failing{Since: at, Times: 2, Error: "no"},
		Aside: []Aside{{
			Path: "raw/app/x.avro", Since: at, Tries: 3, Error: "lost",
			Streams: []Stream{{"s", "h", "/log", chunk.Ranges{{First: 1, Last: 2}}}},
		}},
		Ahead: "2h0m0s",
	}
	for i, tr := range []*Trouble{want, want, {}, nil} {
		if err := Write(t.Context(), st, "app", string(rune('a'+i)), tr); err != nil {
			t.Fatal(err)
		}
		if i < 2 {
			read(want)
		} else {
			read(nil)
		}
	}
}

func TestAFileThatIsDamagedIsAnError(t *testing.T) {
	st, err := local.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	storetest.Put(t, st, Path("app"), []byte(`{"failing": {"tim`))
	if got, err := Read(t.Context(), st, "app"); err == nil {
		t.Errorf("got %+v, want an error", got)
	}
}

func TestADamagedFileOfJobsIsReplaced(t *testing.T) {
	st, err := local.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*Failing{nil, {Times: 2, Error: "no"}} {
		storetest.Put(t, st, jobsPath("app"), []byte(`{"jobs": {"com`))
		if err := WriteJob(t.Context(), st, "app", "a", "compact", f); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(t.Context(), st, "app"); err != nil || (got == nil) != (f == nil) {
			t.Errorf("got %+v, %v, want %+v", got, err, f)
		}
	}
}
