package tail

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/akupara/akupara/config"
)

// TestFoldersThatMatchThemselvesAreWatchedAtOnce has patterns that are not
// about files alone: a folder's own name matches, too.
func TestFoldersThatMatchThemselvesAreWatchedAtOnce(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"in/**", "in/**/*", "in/{*,*/a.log}"} {
		t.Run(filepath.Base(pattern), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, pattern)
			r.cfg.Rescan = config.Duration(time.Hour) // events alone
			r.mkdir("in")
			r.start()
			r.write("in/warm.log", r.lines(1))
			r.arrived()
			for range 3 {
				r.mkdir("in/new")
				r.write("in/new/a.log", r.lines(2))
				r.arrived()
				r.rename("in/new", "in/renamed")
				r.write("in/renamed/a.log", r.lines(2))
				r.arrived()
				r.write("in/renamed/a.log", r.lines(2))
				r.ok(os.RemoveAll(r.path("in/renamed")))
				r.arrived()
			}
			r.exactly()
		})
	}
}
