// Package procfs reads what Linux tells of processes (proc(5)), cheaply: no
// more than is asked for, without the runtime's poller.
package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Dir is where the kernel's process file system is mounted: most often /proc.
type Dir string

// Tick is the unit of processor times in stat: all of Linux's architectures
// give user space a hundredth of a second (USER_HZ).
const Tick = 10 * time.Millisecond

// Stat is what /proc/PID/stat tells.
type Stat struct {
	PID, PPID int
	Name      string // of the program, at most 15 bytes
	State     byte   // R, S, D, Z, T, …
	CPU       uint64 // user and system time, in Ticks
	Threads   int64
	Start     uint64 // after the boot, in Ticks
	VMS       uint64 // bytes
	RSS       uint64 // bytes
}

// maxFile bounds what is read of one of the small files.
const maxFile = 64 << 10

// read reads a file into buf, as much as fits.
func (d Dir) read(buf []byte, path ...string) ([]byte, error) {
	name := string(d) + "/" + strings.Join(path, "/")
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	n := 0
	for n < len(buf) {
		m, err := unix.Read(fd, buf[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, &os.PathError{Op: "read", Path: name, Err: err}
		}
		if m == 0 {
			break
		}
		n += m
	}
	return buf[:n], nil
}

// PIDs appends the processes that there are.
func (d Dir) PIDs(out []int) ([]int, error) {
	f, err := os.Open(string(d))
	if err != nil {
		return out, err
	}
	defer f.Close()
	for {
		names, err := f.Readdirnames(1024)
		for _, n := range names {
			if pid, ok := number(n); ok {
				out = append(out, pid)
			}
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
	}
}

func number(s string) (int, bool) {
	if s == "" || s[0] < '1' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 32)
	return int(n), err == nil
}

// Stat tells of one process. A process that is gone is fs.ErrNotExist.
func (d Dir) Stat(pid int) (Stat, error) {
	var buf [1024]byte
	b, err := d.read(buf[:], strconv.Itoa(pid), "stat")
	if err != nil {
		return Stat{}, gone(err)
	}
	return ParseStat(b)
}

// gone makes ESRCH, which a read gives of a process that ended since the open,
// what an open gives.
func gone(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("%w: %w", os.ErrNotExist, err)
	}
	return err
}

var pageSize = uint64(os.Getpagesize())

// ParseStat reads the content of /proc/PID/stat.
func ParseStat(b []byte) (Stat, error) {
	// The name stands in parentheses and may itself hold any of them.
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 1 || end < open {
		return Stat{}, fmt.Errorf("parse stat: no name in %.100q", b)
	}
	s := Stat{Name: Text(b[open+1:end], maxName)}
	pid, ok := number(strings.TrimSpace(string(b[:open])))
	f := bytes.Fields(b[end+1:])
	if !ok || len(f) < 22 || len(f[0]) != 1 {
		return Stat{}, fmt.Errorf("parse stat: not what proc(5) says: %.100q", b)
	}
	s.PID, s.State = pid, f[0][0]
	var bad error
	field := func(n int) uint64 { // counted as in proc(5), where the state is 3
		v, err := strconv.ParseInt(string(f[n-3]), 10, 64)
		if err != nil {
			u, uerr := strconv.ParseUint(string(f[n-3]), 10, 64)
			if uerr != nil {
				bad = fmt.Errorf("parse stat: field %d is %.40q", n, f[n-3])
			}
			return u
		}
		return uint64(max(v, 0))
	}
	s.PPID = int(field(4))
	s.CPU = field(14) + field(15)
	s.Threads = int64(field(20))
	s.Start = field(22)
	s.VMS = field(23)
	s.RSS = field(24) * pageSize
	return s, bad
}

// maxName is how many bytes of a process's name are taken: threads of the
// kernel have longer ones than programs.
const maxName = 64

// Text makes bytes that may be anything valid UTF-8, of at most most bytes.
func Text(b []byte, most int) string {
	if len(b) > most {
		b = b[:most]
		for len(b) > 0 && !utf8.RuneStart(b[len(b)-1]) {
			b = b[:len(b)-1]
		}
		if n := len(b); n > 0 && b[n-1] >= utf8.RuneSelf {
			b = b[:n-1]
		}
	}
	return strings.ToValidUTF8(string(b), "�")
}

// Cmdline is a process's program and arguments with spaces between, at most
// most bytes of it; empty for a thread of the kernel.
func (d Dir) Cmdline(pid, most int) (string, error) {
	b, err := d.read(make([]byte, min(most+4, maxFile)), strconv.Itoa(pid), "cmdline")
	if err != nil {
		return "", gone(err)
	}
	b = bytes.TrimRight(b, "\x00")
	for i, c := range b {
		if c == 0 {
			b[i] = ' '
		}
	}
	return Text(b, most), nil
}

// UID is the user that a process has the rights of.
func (d Dir) UID(pid int) (int, error) {
	var buf [4096]byte
	b, err := d.read(buf[:], strconv.Itoa(pid), "status")
	if err != nil {
		return 0, gone(err)
	}
	_, rest, found := bytes.Cut(b, []byte("\nUid:"))
	f := bytes.Fields(rest)
	if !found || len(f) < 2 {
		return 0, fmt.Errorf("parse status: no Uid")
	}
	uid, err := strconv.ParseUint(string(f[1]), 10, 32) // real, effective, saved, file system
	if err != nil {
		return 0, fmt.Errorf("parse status: Uid %.40q", f[1])
	}
	return int(uid), nil
}

// IO is how many bytes a process had read from and written to storage. Of
// another user's process it needs CAP_SYS_PTRACE.
func (d Dir) IO(pid int) (read, written uint64, err error) {
	var buf [1024]byte
	b, err := d.read(buf[:], strconv.Itoa(pid), "io")
	if err != nil {
		return 0, 0, gone(err)
	}
	for line := range bytes.Lines(b) {
		key, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(": "))
		n, err := strconv.ParseUint(string(value), 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("parse io: %.100q", line)
		}
		switch string(key) {
		case "read_bytes":
			read = n
		case "write_bytes":
			written = n
		}
	}
	return read, written, nil
}

// FDs is how many files a process has open. Of another user's process it needs
// CAP_SYS_PTRACE.
func (d Dir) FDs(pid int) (int64, error) {
	f, err := os.Open(filepath.Join(string(d), strconv.Itoa(pid), "fd"))
	if err != nil {
		return 0, gone(err)
	}
	defer f.Close()
	// Since Linux 6.2 the folder's size is the number of its entries.
	if info, err := f.Stat(); err == nil && info.Size() > 0 {
		return info.Size(), nil
	}
	n := int64(0)
	for {
		names, err := f.Readdirnames(1024)
		n += int64(len(names))
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return 0, gone(err)
		}
	}
}

// Boot is when the machine started, to the second.
func (d Dir) Boot() (time.Time, error) {
	b, err := d.read(make([]byte, 1<<20), "stat")
	if err != nil {
		return time.Time{}, err
	}
	_, rest, _ := bytes.Cut(b, []byte("\nbtime "))
	value, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}, fmt.Errorf("parse %s/stat: no btime", d)
	}
	return time.Unix(n, 0).UTC(), nil
}
