package identity

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/disk"
	"github.com/akupara/akupara/disk/disktest"
)

func next(t *testing.T, dir, machine string) Identity {
	t.Helper()
	id, _, err := Next(disk.Local{}, dir, machine)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestIDStaysAndStartsAreNeverRepeated(t *testing.T) {
	dir := t.TempDir()
	first, second := next(t, dir, "m1"), next(t, dir, "m1")
	if first.ID != second.ID {
		t.Errorf("the second start is collector %s, want %s as before", second.ID, first.ID)
	}
	if first.Instance() == second.Instance() {
		t.Errorf("two starts are both %s", first.Instance())
	}
	if unknown := next(t, dir, ""); unknown.ID != first.ID {
		t.Errorf("without a machine id the collector is %s, want %s", unknown.ID, first.ID)
	}
}

func TestClonedDiskGetsANewID(t *testing.T) {
	dir := t.TempDir()
	first := next(t, dir, "m1")
	clone, changed, err := Next(disk.Local{}, dir, "m2")
	if err != nil {
		t.Fatal(err)
	}
	if clone.ID == first.ID || changed == "" {
		t.Errorf("on another machine: id %s (before: %s), reason %q; want a new id and a reason", clone.ID, first.ID, changed)
	}
	if again := next(t, dir, "m2"); again.ID != clone.ID {
		t.Errorf("the clone's second start is %s, want %s", again.ID, clone.ID)
	}
}

func TestDamagedIdentityIsReplaced(t *testing.T) {
	for _, content := range []string{"", "{", `{"version":1,"id":"../x","starts":1}`, "\x00\x00"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fileName), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		id, changed, err := Next(disk.Local{}, dir, "m")
		if err != nil || !idRE.MatchString(id.ID) || changed == "" {
			t.Errorf("identity file %q: got %+v, reason %q, error %v", content, id, changed, err)
		}
	}
}

// However often the power fails at whatever change, no two starts that got an
// identity are the same one.
func TestNoStartIsRepeatedWhenThePowerFails(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, when := range []disktest.When{disktest.Before, disktest.After, disktest.Torn} {
		for k, crashed := 0, true; crashed; k++ {
			dir, stash := t.TempDir(), t.TempDir()
			first := next(t, dir, "m")
			seen := map[string]bool{first.Instance(): true}
			for range 3 {
				d := disktest.New(stash)
				d.CrashAt(k, when)
				id, changed, err := Next(d, dir, "m")
				crashed = d.Crashed()
				d.LosePower(rnd)
				if err != nil {
					continue
				}
				if id.ID != first.ID || changed != "" || seen[id.Instance()] {
					t.Fatalf("%v %d: start %s after %v; reason %q", when, k, id.Instance(), seen, changed)
				}
				seen[id.Instance()] = true
			}
		}
	}
}

func TestAFolderInTheIdentitysPlaceIsSetAside(t *testing.T) {
	dir := t.TempDir()
	for i := range 2 {
		if err := os.RemoveAll(filepath.Join(dir, fileName)); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(dir, fileName), 0o700); err != nil {
			t.Fatal(err)
		}
		id, changed, err := Next(disk.Local{}, dir, "m")
		if err != nil || id.Starts != 1 || !strings.Contains(changed, "set aside") {
			t.Errorf("start %d: %+v %q %v; want a new id and why", i, id, changed, err)
		}
		again, changed, err := Next(disk.Local{}, dir, "m")
		if err != nil || again.ID != id.ID || again.Starts != 2 || changed != "" {
			t.Errorf("start %d: %+v %q %v; want %s again", i, again, changed, err, id.ID)
		}
	}
	if kept, _ := filepath.Glob(filepath.Join(dir, "*.damaged")); len(kept) != 2 {
		t.Errorf("set aside: %v, want both", kept)
	}
}
