package tail

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/adaptors"
)

// A tailer that is bound to folders reads nothing that lies outside of them,
// whatever links are made while it runs, and goes on reading what lies inside.
func TestNothingOutsideOfItsRootsIsRead(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		secret := filepath.Join(t.TempDir(), "secret.log")
		if err := os.WriteFile(secret, []byte("a secret line\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		r := newRig(t).with(watch)
		r.cfg.SetRoots(adaptors.Roots{r.dir})
		r.write("a.log", r.lines(3))
		r.mkdir("sub")
		r.ok(os.Symlink(secret, r.path("before.log")))
		r.start()
		r.arrived()
		r.ok(os.Symlink(secret, r.path("later.log")))
		r.ok(os.Symlink(filepath.Dir(secret), r.path("folder")))
		r.write("sub/real", r.lines(3))
		r.ok(os.Symlink("sub/real", r.path("inside.log")))
		r.until("the link that leads outside is told", func() bool {
			for _, s := range r.a.Status().Skipped {
				if s.Path == r.path("later.log") && strings.Contains(s.Reason, "leads out") {
					return true
				}
			}
			return false
		})
		// A file that is being followed turns into a link to the outside.
		r.ok(os.Rename(r.path("a.log"), r.path("a.old")))
		r.ok(os.Symlink(secret, r.path("a.log")))
		r.write("b.log", r.lines(3))
		r.arrived()
		for _, c := range r.rec.Chunks() {
			if bytes.Contains(c.Body, []byte("secret")) || strings.Contains(c.Source, "secret") {
				t.Errorf("read %q of %s", c.Body, c.Source)
			}
		}
		for _, s := range r.a.Status().Skipped {
			if strings.HasPrefix(s.Path, r.path("folder")) {
				t.Errorf("the name %s, which lies outside, is told", s.Path)
			}
		}
	})
}
