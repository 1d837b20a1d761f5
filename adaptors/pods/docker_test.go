package pods

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
)

// runDocker starts an instance of a container whose log docker keeps: behind so
// many symlinks, in a folder of its own.
func (k *kubelet) runDocker(pod, name string, restart, links int, zip bool) *ctr {
	k.t.Helper()
	id := fmt.Sprintf("%064x", len(k.all))
	dir := filepath.Join(k.root+"-docker", "containers", id)
	c := &ctr{k: k, pod: pod, path: filepath.Join(k.root, pod, name, strconv.Itoa(restart)+".log"), json: filepath.Join(dir, id+"-json.log"), zip: zip}
	k.ok(os.MkdirAll(dir, 0o755))
	k.ok(os.MkdirAll(filepath.Dir(c.path), 0o755))
	c.open(c.json)
	to := c.json
	for i := range links - 1 {
		link := filepath.Join(k.root+"-docker", fmt.Sprintf("%s-%d.log", id[60:], i))
		k.ok(os.Symlink(to, link))
		to = link
	}
	k.ok(os.Symlink(to, c.path))
	k.all = append(k.all, c)
	return c
}

// rotateAsDocker renames what is there to the next number, makes a new log, and
// compresses the one before in its place, if that is asked for.
func (c *ctr) rotateAsDocker() {
	c.k.t.Helper()
	c.k.ok(c.f.Close())
	ext := ""
	if c.zip {
		ext = ".gz"
	}
	name := func(n int) string { return c.json + "." + strconv.Itoa(n) + ext }
	most := c.k.maxFiles - 1
	if n := len(c.rotatedByDocker()); n < most {
		most = n + 1
	} else {
		c.k.ok(os.Remove(name(most)))
	}
	for n := most; n > 1; n-- {
		c.k.ok(os.Rename(name(n-1), name(n)))
	}
	c.k.ok(os.Rename(c.json, c.json+".1"))
	c.open(c.json)
	if c.zip {
		c.k.compressTo(c.json+".1", c.json+".1.gz")
	}
}

func (c *ctr) rotatedByDocker() []string {
	all, err := filepath.Glob(c.json + ".*")
	c.k.ok(err)
	number := func(path string) int {
		n, err := strconv.Atoi(strings.TrimSuffix(path[len(c.json)+1:], ".gz"))
		c.k.ok(err)
		return n
	}
	slices.SortFunc(all, func(a, b string) int { return number(b) - number(a) })
	return all
}

// eachDocker runs a test for each way to watch, to compress and to link.
func eachDocker(t *testing.T, f func(t *testing.T, r *rig, c *ctr)) {
	for _, zip := range []bool{false, true} {
		for links := 1; links < 3; links++ {
			t.Run(fmt.Sprintf("links %d, compress %t", links, zip), func(t *testing.T) {
				each(t, func(t *testing.T, r *rig) { f(t, r, r.runDocker(web, "nginx", 0, links, zip)) })
			})
		}
	}
}

func (r *rig) wantOneStreamAndNoLoss() {
	r.t.Helper()
	if n := len(r.rec.Streams()); n != 1 {
		r.t.Errorf("got %d streams, want 1", n)
	}
	if lost := r.rec.Facts(chunk.Lost); len(lost) > 0 {
		r.t.Errorf("told as lost: %+v", lost)
	}
}

func TestDockersLogIsFollowedThroughItsRotations(t *testing.T) {
	eachDocker(t, func(t *testing.T, r *rig, c *ctr) {
		c.write(10)
		r.start()
		for i := range 8 {
			if i%2 == 0 {
				r.arrived()
			}
			c.write(20)
			c.rotate()
			c.write(3)
			if i%3 == 0 {
				c.rotate()
				c.write(1)
			}
		}
		r.arrived()
		r.wantOneStreamAndNoLoss()
	})
}

func TestDockersLogIsFoundAfterRotationsWhileStopped(t *testing.T) {
	for _, how := range []string{"stop", "kill", "first start"} {
		for rotations := 1; rotations < 5; rotations++ {
			for _, zip := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d, %s, compress %t", rotations, how, zip), func(t *testing.T) {
					t.Parallel()
					r := newRig(t)
					r.maxFiles = 8
					c := r.runDocker(web, "nginx", 0, 1, zip)
					c.write(50)
					if how != "first start" {
						r.start()
						r.arrived()
						c.write(5)
						c.rotate()
						c.write(5)
						r.arrived()
						if how == "kill" {
							r.kill()
						} else {
							r.rec.Settle(r.a)
							r.stop()
						}
					}
					for range rotations {
						c.write(30)
						c.rotate()
						c.write(10)
					}
					r.start()
					c.rotate()
					c.write(10)
					r.arrived()
					r.wantOneStreamAndNoLoss()
				})
			}
		}
	}
}

// TestDockersFilesOfTheSameLengthAndBeginningAreToldApart rotates files whose
// first KiB and length are the same while the agent is stopped.
func TestDockersFilesOfTheSameLengthAndBeginningAreToldApart(t *testing.T) {
	for _, zip := range []bool{false, true} {
		t.Run(fmt.Sprintf("compress %t", zip), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.maxFiles = 20
			c := r.runDocker(web, "nginx", 0, 1, zip)
			n := 0
			write := func() {
				n++
				c.raw(strings.Repeat("2026-03-01T10:00:00Z stdout F the same\n", 40) + fmt.Sprintf("2026-03-01T10:00:00Z stdout F %05d\n", n))
			}
			write()
			r.start()
			r.arrived()
			for range 3 {
				for range 3 {
					c.rotate()
					write()
				}
				r.arrived()
				r.stop()
				for range 2 {
					c.rotate()
					write()
				}
				r.start()
				r.arrived()
			}
			r.wantOneStreamAndNoLoss()
		})
	}
}

func TestDockersFileThatIsRemovedUnreadIsToldAsLost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.maxFiles = 3
	c := r.runDocker(web, "nginx", 0, 1, false)
	c.write(5)
	r.start()
	r.arrived()
	r.rec.Settle(r.a)
	had := c.wrote.Len()
	r.stop()
	for range 4 {
		c.rotate()
		c.write(10)
	}
	kept := strings.Join(c.contents(), "")
	r.start()
	want := c.wrote.String()[:had] + "\x00" + kept
	r.until("what is left did not come", func() bool { return len(r.got(c.path)) >= len(want) })
	if got := r.got(c.path); got != want {
		t.Errorf("they differ:\n%s", around(got, want))
	}
}

func TestDockersLogOfADeletedPodIsReadToItsEnd(t *testing.T) {
	eachDocker(t, func(t *testing.T, r *rig, c *ctr) {
		c.write(10)
		r.start()
		r.arrived()
		before := c.stat()
		c.rotate()
		c.write(10)
		r.until("the rotation was not seen", func() bool { return r.sees(c, before) })
		r.arrived()
		r.remove(web)
		r.until("the end was not told", func() bool { return len(r.rec.Facts(chunk.End)) == 1 })
		r.arrived()
		r.wantOneStreamAndNoLoss()
		r.forgotten(0)
		r.until("files are still open", func() bool { return r.openFiles() == 0 })
	})
}

// TestSymlinkThatLeadsNowhereYetIsFollowedOnceItDoes starts while docker is
// between the rename and the new log, or its folder is not mounted.
func TestSymlinkThatLeadsNowhereYetIsFollowedOnceItDoes(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		c := r.runDocker(web, "nginx", 0, 1, false)
		c.write(3)
		r.start()
		r.arrived()
		r.stop()
		away := r.root + "-away"
		r.ok(os.Rename(r.root+"-docker", away))
		other := r.run("shop_b_u2", "c", 0)
		other.write(1)
		r.start()
		r.arrived(other)
		r.until("it is not said", func() bool {
			got := r.a.Status().Skipped
			return len(got) == 1 && strings.Contains(got[0].Reason, c.json+", which is not there")
		})
		r.ok(os.Rename(away, r.root+"-docker"))
		c.write(3)
		r.arrived()
		r.until("it is still said", func() bool { return len(r.a.Status().Skipped) == 0 })
		r.wantOneStreamPerLog()
	})
}

func (r *rig) wantOneStreamPerLog() {
	r.t.Helper()
	if n := len(r.rec.Streams()); n != len(r.all) {
		r.t.Errorf("got %d streams, want %d", n, len(r.all))
	}
	if facts := append(r.rec.Facts(chunk.End), r.rec.Facts(chunk.Lost)...); len(facts) > 0 {
		r.t.Errorf("told as lost or ended: %+v", facts)
	}
}

// TestDockersOnlyFileIsReadAfterItsTruncation does what docker does where
// max-file is 1, while no collector takes anything.
func TestDockersOnlyFileIsReadAfterItsTruncation(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		c := r.runDocker(web, "nginx", 0, 1, false)
		c.write(5)
		r.start()
		r.arrived()
		r.rec.Refuse(func(*chunk.Chunk) error { return errors.New("503") })
		c.write(1)
		r.until("nothing was refused", func() bool { return r.a.Status().LastErr != "" })
		r.ok(c.f.Truncate(0))
		had := c.wrote.Len()
		c.write(20) // it is longer than it was
		r.rec.Refuse(nil)
		want := c.wrote.String()[had:]
		r.until("what was written since did not come", func() bool { return strings.HasSuffix(r.got(c.path), want) })
		if lost := r.rec.Facts(chunk.Lost); len(lost) == 0 {
			t.Error("nothing was told as lost")
		}
	})
}

func TestNamesOfDockersFilesAreRead(t *testing.T) {
	p := linkedPlace("/d/x-json.log")
	for name, want := range map[string]entry{
		"x-json.log": {"x-json.log", false}, "x-json.log.1": {"x-json.log.1", false}, "x-json.log.12.gz": {"x-json.log.12", true},
		"x-json.log.gz": {}, "x-json.log.0": {}, "x-json.log.01": {}, "x-json.log.1.tmp": {}, "config.v2.json": {}, "y-json.log.1": {},
	} {
		if got, ok := p.dockerName(name); ok != (want != entry{}) || ok && got != want {
			t.Errorf("%s: got %+v, %t, want %+v", name, got, ok, want)
		}
	}
	names := []string{"x-json.log", "x-json.log.2", "x-json.log.10", "x-json.log.1"}
	slices.SortFunc(names, p.compare)
	if want := []string{"x-json.log.10", "x-json.log.2", "x-json.log.1", "x-json.log"}; !slices.Equal(names, want) {
		t.Errorf("got the order %q, want %q", names, want)
	}
}
