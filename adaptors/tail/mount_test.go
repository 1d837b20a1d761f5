package tail

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// mount lets bindfs show one folder as another, with other device numbers each
// time, and, as network file systems do, without birth times.
func (r *rig) mount(from, to string) {
	r.t.Helper()
	if out, err := exec.Command("bindfs", "-o", "attr_timeout=0,entry_timeout=0", r.path(from), r.path(to)).CombinedOutput(); err != nil {
		r.t.Skipf("NOT TESTED: a mount that goes away and comes back. It needs bindfs and the right to mount: %v\n%s", err, out)
	}
	r.t.Cleanup(func() { _ = unix.Unmount(r.path(to), unix.MNT_DETACH) })
}

// mountAnew mounts under another number than dev, which may be free again.
func (r *rig) mountAnew(from, to string, dev uint64) {
	r.t.Helper()
	for i := range 10 {
		spare := fmt.Sprint("spare", i)
		r.mkdir(spare)
		r.mount(from, spare)
		info, err := ident.Stat(r.path(spare))
		r.ok(err)
		if info.Dev != dev {
			r.ok(unix.Mount(r.path(spare), r.path(to), "", unix.MS_BIND, ""))
			return
		}
	}
}

func (r *rig) unmount(to string) {
	r.t.Helper()
	r.ok(unix.Unmount(r.path(to), unix.MNT_DETACH|unix.MNT_FORCE))
}

func TestMountThatComesBackUnderAnotherNumberIsReadOn(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, how := range []string{"running", "stopped", "seen to be away", "another inode"} {
			t.Run(how, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, "mnt/*.log").with(watch)
				r.mkdir("disk")
				r.mkdir("mnt")
				r.mkdir("other")
				r.mount("disk", "mnt")
				r.write("disk/short.log", r.lines(3))
				r.write("disk/long.log", r.lines(60))
				before, err := ident.Stat(r.path("mnt/long.log"))
				r.ok(err)
				r.start()
				r.arrived()
				r.write("disk/long.log", r.lines(1))
				r.arrived()
				from := "disk"
				switch how {
				case "stopped":
					r.stop()
				case "another inode":
					b, err := os.ReadFile(r.path("disk/long.log"))
					r.ok(err)
					r.write("other/long.log", string(b))
					from = "other"
				}
				r.unmount("mnt")
				if how == "seen to be away" {
					r.write("b.log", "")
					r.until("the file is not seen to be away", func() bool { return !shows(r, "mnt/long.log") })
				}
				r.mountAnew(from, "mnt", before.Dev)
				after, err := ident.Stat(r.path("mnt/long.log"))
				r.ok(err)
				if before.Dev == after.Dev || before.Birth != 0 || (before.Ino == after.Ino) != (from == "disk") {
					t.Fatalf("the mount was %+v, and is %+v", before, after)
				}
				if how == "stopped" {
					r.start()
				}
				r.write(from+"/long.log", r.lines(2))
				r.exactly()
				if got := len(r.rec.Streams()); got != 2 {
					t.Errorf("%d streams, want 2\n%s", got, r.known())
				}
			})
		}
	})
}
