package disktest_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/disk"
	"github.com/akupara/akupara/disk/disktest"
)

func publish(d disk.Disk, dir, text string) error {
	if err := disk.MkdirAll(d, dir, 0o700); err != nil {
		return err
	}
	return disk.Publish(d, filepath.Join(dir, "f"), strings.NewReader(text), 0o600)
}

// What Publish has said to be there is there after a loss of power, whole; what
// it was about to say may be.
func TestWhatIsPublishedSurvivesALossOfPowerAtEveryChange(t *testing.T) {
	for _, when := range []disktest.When{disktest.Before, disktest.After, disktest.Torn} {
		seen := map[string]bool{}
		for k := 0; ; k++ {
			for seed := range uint64(8) {
				dir := filepath.Join(t.TempDir(), "a", "b")
				d := disktest.New(t.TempDir())
				d.CrashAt(k, when)
				want, next := "", "one"
				err := publish(d, dir, next)
				if err == nil {
					want, next = "one", "and two"
					if err = publish(d, dir, next); err == nil {
						want, next = next, ""
					}
				}
				if d.Crashed() != errors.Is(err, disktest.ErrCrashed) {
					t.Fatalf("%v %d: crashed: %t, error %v", when, k, d.Crashed(), err)
				}
				d.LosePower(rand.New(rand.NewPCG(seed, uint64(k))))
				got, err := os.ReadFile(filepath.Join(dir, "f"))
				if err != nil && (want != "" || !errors.Is(err, fs.ErrNotExist)) {
					t.Fatalf("%v %d: %v, want %q or %q\n%s", when, k, err, want, next, strings.Join(d.Log(), "\n"))
				}
				if string(got) != want && string(got) != next {
					t.Fatalf("%v %d: the file holds %q, want %q or %q", when, k, got, want, next)
				}
				seen[fmt.Sprintf("%s of %s", got, next)] = true
				if next == "" && seed == 7 {
					if len(seen) < 4 {
						t.Errorf("%v: %v happened, want the old and the new one of both", when, seen)
					}
					k = -1
				}
			}
			if k < 0 {
				break
			}
		}
	}
}

func TestALossOfPowerTakesOnlyWhatWasNotSynced(t *testing.T) {
	lost, back := false, false
	for seed := range uint64(64) {
		dir := t.TempDir()
		d := disktest.New(t.TempDir())
		name := filepath.Join(dir, "f")
		f, err := disk.Create(d, name, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		write := func(s string) {
			if _, err := f.Write([]byte(s)); err != nil {
				t.Fatal(err)
			}
		}
		write("synced")
		if err := errors.Join(f.Sync(), d.SyncDir(dir)); err != nil {
			t.Fatal(err)
		}
		if seed%2 == 0 {
			write(" or not")
		} else if err := f.Truncate(3); err != nil {
			t.Fatal(err)
		}
		d.LosePower(rand.New(rand.NewPCG(seed, 0)))
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		switch got := string(b); {
		case seed%2 == 0 && strings.HasPrefix(got, "synced") && strings.HasPrefix("synced or not", got):
			lost = lost || len(got) < len("synced or not")
		case seed%2 == 1 && (got == "syn" || got == "synced"):
			back = back || got == "synced"
		default:
			t.Errorf("seed %d: the file holds %q", seed, got)
		}
		if _, err := f.Write([]byte("x")); !errors.Is(err, disktest.ErrCrashed) {
			t.Errorf("a write after the loss: %v", err)
		}
		_ = f.Close()
	}
	if !lost || !back {
		t.Errorf("bytes were lost: %t, a truncation: %t; want both at times", lost, back)
	}
}
