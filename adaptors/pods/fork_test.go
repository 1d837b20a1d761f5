package pods

import (
	"os"
	"strings"
	"testing"
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
