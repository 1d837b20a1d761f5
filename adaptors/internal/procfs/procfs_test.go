package procfs

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const proc Dir = "/proc"

func TestThisProcessIsAsTheRuntimeSays(t *testing.T) {
	pids, err := proc.PIDs(nil)
	if err != nil || !slices.Contains(pids, os.Getpid()) {
		t.Fatalf("the processes are %v, %v; want this one, %d, among them", pids, err, os.Getpid())
	}
	s, err := proc.Stat(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if s.PID != os.Getpid() || s.PPID != os.Getppid() || s.Threads < 2 || s.RSS < 1<<20 || s.VMS < s.RSS || !strings.Contains("RS", string(s.State)) {
		t.Errorf("got %+v, want what this process is", s)
	}
	boot, err := proc.Boot()
	if err != nil {
		t.Fatal(err)
	}
	if age := time.Since(boot.Add(time.Duration(s.Start) * Tick)); age < -2*time.Second || age > time.Hour {
		t.Errorf("this process is %v old", age)
	}
	cmd, err := proc.Cmdline(os.Getpid(), 4096)
	if want := strings.Join(os.Args, " "); err != nil || cmd != want {
		t.Errorf("got command line %q, %v; want %q", cmd, err, want)
	}
	if short, _ := proc.Cmdline(os.Getpid(), 5); short != cmd[:5] {
		t.Errorf("got %q, want the first five bytes of %q", short, cmd)
	}
	uid, err := proc.UID(os.Getpid())
	if err != nil || uid != os.Geteuid() {
		t.Errorf("got user %d, %v; want %d", uid, err, os.Geteuid())
	}
	before, err := proc.FDs(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if after, err := proc.FDs(os.Getpid()); err != nil || after != before+1 {
		t.Errorf("got %d open files, %v; want %d", after, err, before+1)
	}
	if _, _, err := proc.IO(os.Getpid()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("io: %v", err)
	}
}

func TestProcessThatIsGoneDoesNotExist(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	_, err := proc.Stat(pid)
	_, cmdErr := proc.Cmdline(pid, 100)
	_, uidErr := proc.UID(pid)
	_, fdErr := proc.FDs(pid)
	for _, err := range []error{err, cmdErr, uidErr, fdErr} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v, want that it does not exist", err)
		}
	}
}

func TestNamesMayHoldAnything(t *testing.T) {
	const tail = " S 1 4 4 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 7 0 12345 4096000 25 18446744073709551615 1 1"
	for name, want := range map[string]string{
		"a":           "a",
		"a) R (b":     "a) R (b",
		"(sd-pam)":    "(sd-pam)",
		"\xff\n":      "�\n",
		"tmux: serv ": "tmux: serv ",
	} {
		s, err := ParseStat([]byte("42 (" + name + ")" + tail))
		if err != nil || s.Name != want || s.PID != 42 || s.PPID != 1 || s.State != 'S' || s.CPU != 200 || s.Threads != 7 ||
			s.Start != 12345 || s.VMS != 4096000 || s.RSS != 25*uint64(os.Getpagesize()) {
			t.Errorf("%q: got %+v, %v", name, s, err)
		}
	}
	for _, bad := range []string{"", "42 a S 1", "(a) S 1", "42 (a) S 1", "42 (a)" + strings.Replace(tail, "12345", "x", 1)} {
		if s, err := ParseStat([]byte(bad)); err == nil {
			t.Errorf("%q was taken: %+v", bad, s)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("1 (a) S 0 1 1 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 7 0 12345 4096000 25 1"), 10)
	f.Add([]byte("))(("), 0)
	f.Fuzz(func(t *testing.T, b []byte, most int) {
		if s, err := ParseStat(b); err == nil && (s.PID <= 0 || !utf8.ValidString(s.Name)) {
			t.Errorf("%q: got %+v", b, s)
		}
		if most >= 0 {
			if got := Text(b, most); !utf8.ValidString(got) || len(got) > 3*most {
				t.Errorf("Text(%q, %d): %q", b, most, got)
			}
		}
	})
}
