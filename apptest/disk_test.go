package apptest

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// disk is a file system of its own, ext4 in an image that can be copied, set
// back, and deprived of its power.
type disk struct{ image, at string }

// newDisk makes a disk and mounts it. Where that is not possible the test is
// skipped, loudly; with CI set it fails where it should be possible.
func newDisk(t *testing.T, image, at string) *disk {
	t.Helper()
	_, err := exec.LookPath("mkfs.ext4")
	if _, missing := os.Stat("/dev/loop-control"); err != nil || missing != nil || os.Geteuid() != 0 {
		t.Skipf("SKIPPED: no disks can be made here: mkfs.ext4: %v, loop devices: %v, user %d", err, missing, os.Geteuid())
	}
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	err = f.Truncate(64 << 20)
	if cerr := f.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	command(t, "mkfs.ext4", "-q", "-F", "-b", "4096", image)
	d := &disk{image, at}
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-o", "loop", image, at).CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mount: %v: %s", err, out)
		}
		t.Skipf("SKIPPED: no image can be mounted here: %v: %s", err, out)
	}
	t.Cleanup(d.detach)
	return d
}

func command(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

// mount gives the disk its place, until the test ends.
func (d *disk) mount(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(d.at, 0o755); err != nil {
		t.Fatal(err)
	}
	command(t, "mount", "-o", "loop", d.image, d.at)
	t.Cleanup(d.detach)
}

func (d *disk) detach() { _ = unix.Unmount(d.at, unix.MNT_DETACH) } // it may not be mounted any more

// unmount waits until nobody has the image open. Processes with mounts of their
// own may keep it for a while.
func (d *disk) unmount(t *testing.T) {
	t.Helper()
	eventually(t, slow, d.at+" is not in use", func() bool { return unix.Unmount(d.at, 0) == nil })
	eventually(t, slow, d.image+" is not in use", func() bool { return command(t, "losetup", "-n", "-O", "NAME", "-j", d.image) == "" })
}

// copy copies a disk that is not mounted to another image, for another place.
func (d *disk) copy(t *testing.T, image, at string) *disk {
	t.Helper()
	command(t, "cp", "--sparse=always", d.image, image)
	return &disk{image, at}
}

// cutPower takes the disk's power away and gives it back: what was not written
// back is gone, and the journal is replayed. Nobody may use it any more.
func (d *disk) cutPower(t *testing.T) {
	t.Helper()
	f, err := os.Open(d.at)
	if err != nil {
		t.Fatal(err)
	}
	const shutdown, withoutLog = 0x8004587d, 2 // EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
	err = unix.IoctlSetPointerInt(int(f.Fd()), shutdown, withoutLog)
	if cerr := f.Close(); err != nil || cerr != nil {
		t.Fatalf("cut the power: %v, %v", err, cerr)
	}
	d.unmount(t)
	d.mount(t)
}

// sync makes what lies below a path survive the loss of power, and nothing else
// if it can be helped.
func syncBelow(t *testing.T, path string) {
	t.Helper()
	err := filepath.WalkDir(path, func(p string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // its owner may remove it
			return nil
		}
		if err != nil {
			return err
		}
		f, err := os.Open(p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Sync()
	})
	if err != nil {
		t.Fatal(err)
	}
}
