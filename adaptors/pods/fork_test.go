package pods

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/akupara/akupara/chunk"
)

// lossOfPower lets a log lose its end, which was sent, and be written on.
func lossOfPower(t *testing.T, r *rig, c *ctr, settle bool, more int) {
	c.write(5)
	c.rotate()
	c.write(40)
	r.start()
	r.arrived()
	if settle {
		r.rec.Settle(r.a)
	}
	r.kill()
	text, err := os.ReadFile(c.path)
	r.ok(err)
	r.ok(c.f.Truncate(int64(strings.LastIndexByte(string(text[:len(text)/2]), '\n') + 1)))
	c.write(more)
	r.start()
	r.once()
	c.rotate()
	c.write(5)
	r.once()
}

func TestALogThatLostItsEndIsReadOnce(t *testing.T) {
	for name, more := range map[string]int{"shorter": 3, "longer": 60} {
		for _, settled := range []bool{false, true} {
			t.Run(map[bool]string{false: name, true: name + ", settled"}[settled], func(t *testing.T) {
				eachKeeper(t, func(t *testing.T, r *rig, c *ctr) { lossOfPower(t, r, c, settled, more) })
			})
		}
	}
}

// TestALogThatLostItsRotationIsReadOnce takes the power away after a rotation
// that the disk does not know of.
func TestALogThatLostItsRotationIsReadOnce(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		c := r.run(web, "nginx", 0)
		c.write(20)
		r.start()
		r.arrived()
		c.rotate()
		c.write(5)
		r.arrived()
		r.rec.Settle(r.a)
		r.kill()
		c.stop()
		r.ok(os.Rename(c.rotated()[0], c.path))
		c.open(c.path)
		text, err := os.ReadFile(c.path)
		r.ok(err)
		r.ok(c.f.Truncate(int64(strings.LastIndexByte(string(text[:len(text)/2]), '\n') + 1)))
		c.write(30)
		r.start()
		r.once()
	})
}

// TestAJournalThatLostItsEndDoublesNothing takes the power away from the agent's
// disk alone.
func TestAJournalThatLostItsEndDoublesNothing(t *testing.T) {
	eachKeeper(t, func(t *testing.T, r *rig, c *ctr) {
		c.write(20)
		r.start()
		r.arrived()
		restore := r.rec.Backup()
		c.write(20)
		r.arrived()
		c.rotate()
		c.write(20)
		r.arrived()
		restore()
		r.stop()
		c.write(5)
		r.start()
		r.arrived()
		r.once()
	})
}

// TestLogsThatLostTheirEndsGoOnWhileNoCollectorTakesAnything has openers see
// them first.
func TestLogsThatLostTheirEndsGoOnWhileNoCollectorTakesAnything(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		for i := range 4 * readers {
			r.run(fmt.Sprintf("shop_p%d_u%d", i, i), "c", 0).write(20)
		}
		r.start()
		r.arrived()
		r.kill()
		for _, c := range r.all {
			text, err := os.ReadFile(c.path)
			r.ok(err)
			r.ok(c.f.Truncate(int64(strings.LastIndexByte(string(text[:len(text)/2]), '\n') + 1)))
			c.write(3)
		}
		free := make(chan struct{})
		release := sync.OnceFunc(func() { close(free) })
		t.Cleanup(release)
		r.rec.Refuse(func(*chunk.Chunk) error { <-free; return nil })
		r.start()
		r.until("readers do not all wait", func() bool {
			forks := 0
			for _, k := range r.rec.Known() {
				if strings.Contains(k.ID, "~") {
					forks++
				}
			}
			return forks >= readers
		})
		release()
		r.rec.Refuse(nil)
		r.once()
	})
}
