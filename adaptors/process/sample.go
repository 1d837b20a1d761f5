package process

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/akupara/akupara/adaptors/internal/procfs"
)

// sampler remembers the processor times of the sample before.
type sampler struct {
	cfg    *Config
	proc   procfs.Dir
	boot   time.Time
	users  users
	at     time.Time // of the sample before; zero: there was none
	before map[key]uint64
	now    map[key]uint64
	pids   []int
	seen   []process
}

// key tells processes apart: ids are given anew.
type key struct {
	pid   int
	start uint64
}

type process struct {
	procfs.Stat
	used uint64 // ticks since the sample before
}

func newSampler(cfg *Config) *sampler {
	return &sampler{cfg: cfg, proc: procfs.Dir(cfg.Proc), users: users{path: cfg.Passwd},
		before: map[key]uint64{}, now: map[key]uint64{}}
}

// sample returns the processes to tell of, none the first time. It looks closely
// at these alone.
func (s *sampler) sample(at time.Time) ([]row, error) {
	for _, path := range s.cfg.unusual() {
		if err := s.cfg.roots.HoldsPath(path); err != nil {
			return nil, err
		}
	}
	if s.boot.IsZero() {
		boot, err := s.proc.Boot()
		if err != nil {
			return nil, err
		}
		s.boot = boot
	}
	var err error
	if s.pids, err = s.proc.PIDs(s.pids[:0]); err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	s.seen = s.seen[:0]
	clear(s.now)
	var bad error
	for _, pid := range s.pids {
		stat, err := s.proc.Stat(pid)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				bad = err
			}
			continue
		}
		if re := s.cfg.Match.Regexp; re != nil && !re.MatchString(stat.Name) {
			continue
		}
		k := key{pid, stat.Start}
		s.now[k] = stat.CPU
		// One that is new used all its time since.
		used := stat.CPU - min(s.before[k], stat.CPU)
		s.seen = append(s.seen, process{stat, used})
	}
	s.before, s.now = s.now, s.before
	since := at.Sub(s.at)
	first := s.at.IsZero()
	s.at = at
	if first || since <= 0 {
		return nil, bad
	}
	var rows []row
	for _, p := range s.top() {
		r := s.row(p, since)
		r.TS = at.Format(timeFormat)
		rows = append(rows, r)
	}
	return rows, bad
}

// top moves the processes to tell of to the front and gives them, those that
// used most processor time first.
func (s *sampler) top() []process {
	n := min(s.cfg.Top, len(s.seen))
	byCPU := func(a, b process) int {
		return cmp.Or(cmp.Compare(b.used, a.used), cmp.Compare(b.RSS, a.RSS), cmp.Compare(a.PID, b.PID))
	}
	slices.SortFunc(s.seen, byCPU)
	rest := s.seen[n:]
	if len(rest) == 0 {
		return s.seen
	}
	// Of the others, those that are among the first n by memory of all.
	all := slices.Clone(s.seen)
	slices.SortFunc(all, func(a, b process) int {
		return cmp.Or(cmp.Compare(b.RSS, a.RSS), cmp.Compare(a.PID, b.PID))
	})
	large := map[int]bool{}
	for _, p := range all[:n] {
		large[p.PID] = true
	}
	out := s.seen[:n:n]
	for _, p := range rest {
		if large[p.PID] {
			out = append(out, p)
		}
	}
	return out
}

// row looks closely at a process. One that ended meanwhile is told of with
// what is known.
func (s *sampler) row(p process, since time.Duration) row {
	ticks := since.Seconds() / procfs.Tick.Seconds()
	r := row{
		PID: p.PID, PPID: p.PPID, Name: p.Name, State: string(rune(p.State)),
		CPU:     math.Round(float64(p.used)/ticks*1e4) / 100,
		CPUTime: float64(p.CPU) / 100,
		RSS:     p.RSS, VMS: p.VMS, Threads: p.Threads,
		Started: s.boot.Add(time.Duration(p.Start) * procfs.Tick).Format(startFormat),
	}
	if s.cfg.Cmdline > 0 {
		if line, err := s.proc.Cmdline(p.PID, int(s.cfg.Cmdline)); err == nil {
			r.Cmdline = line
		}
	}
	if uid, err := s.proc.UID(p.PID); err == nil {
		r.User = s.users.name(uid)
	}
	if n, err := s.proc.FDs(p.PID); err == nil {
		r.FDs = &n
	}
	if read, written, err := s.proc.IO(p.PID); err == nil {
		r.Read, r.Written = &read, &written
	}
	return r
}

// users gives names of users as a passwd file has them: asking the system's
// other sources may take as long as a server somewhere does.
type users struct {
	path  string
	names map[int]string
	mod   time.Time
}

// maxPasswd bounds what is read of the passwd file, in bytes.
const maxPasswd = 4 << 20

// name is a user's name, or its number where it has none there.
func (u *users) name(uid int) string {
	if info, err := os.Stat(u.path); err == nil && info.Mode().IsRegular() && !info.ModTime().Equal(u.mod) {
		u.mod = info.ModTime()
		u.names = readNames(u.path)
	}
	if n, ok := u.names[uid]; ok {
		return n
	}
	return strconv.Itoa(uid)
}

func readNames(path string) map[int]string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPasswd))
	if err != nil {
		return nil
	}
	return parseNames(b)
}

// parseNames reads name:password:uid:… (passwd(5)). The first of several names
// counts.
func parseNames(b []byte) map[int]string {
	names := map[int]string{}
	for line := range bytes.Lines(b) {
		f := bytes.SplitN(line, []byte(":"), 4)
		if len(f) < 4 || len(f[0]) == 0 || len(f[0]) > 256 || f[0][0] == '#' {
			continue
		}
		if uid, err := strconv.ParseUint(string(f[2]), 10, 32); err == nil {
			if _, twice := names[int(uid)]; !twice {
				names[int(uid)] = procfs.Text(f[0], len(f[0]))
			}
		}
	}
	return names
}
