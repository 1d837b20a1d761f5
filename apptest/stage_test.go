package apptest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stage is a folder where a scene is played, and what must come of it.
type stage struct {
	scene
	t      testing.TB
	dir    string
	prefix string
	log    string // that shift rotates
	lines  []string
	at     int // step

	mapped bool // fill writes through a mapping
	filled *os.File
	memory []byte
	offset int
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s: %v", s.prefix, err)
	}
}

// next gives n lines that must be rows, each about 60 bytes.
func (s *stage) next(n int) string {
	var b strings.Builder
	for range n {
		line := fmt.Sprintf("%s %06d %s", s.prefix, len(s.lines), strings.Repeat("x", 20+len(s.lines)%40))
		s.lines = append(s.lines, line)
		b.WriteString(line + "\n")
	}
	return b.String()
}

func (s *stage) append(name, text string) {
	s.t.Helper()
	f := appendTo(s.t, s.path(name))
	defer f.Close()
	_, err := f.WriteString(text)
	s.must(err)
}

func (s *stage) write(name string, n int) { s.t.Helper(); s.append(name, s.next(n)) }

// docker appends n lines in the form of docker's driver json-file. The kind
// pods makes messages of them, and for tail a line is a line.
func (s *stage) docker(n int) {
	s.t.Helper()
	for range n {
		line := strings.TrimSuffix(s.next(1), "\n")
		text, err := json.Marshal(map[string]string{"log": line + "\n", "stream": "stdout", "time": time.Now().UTC().Format(time.RFC3339Nano)})
		s.must(err)
		if !s.pods {
			s.lines[len(s.lines)-1] = string(text)
		}
		s.append(s.log, string(text)+"\n")
	}
}

func (s *stage) rename(from, to string) {
	s.t.Helper()
	s.must(os.MkdirAll(filepath.Dir(s.path(to)), 0o755))
	s.must(os.Rename(s.path(from), s.path(to)))
}

func (s *stage) remove(name string) { s.t.Helper(); s.must(os.Remove(s.path(name))) }

// shift renames the log to .1, .1 to .2, and so on.
func (s *stage) shift() {
	s.t.Helper()
	last := 1
	for exists(s.path(fmt.Sprintf("%s.%d", s.log, last))) {
		last++
	}
	for ; last > 1; last-- {
		s.rename(fmt.Sprintf("%s.%d", s.log, last-1), fmt.Sprintf("%s.%d", s.log, last))
	}
	s.rename(s.log, s.log+".1")
}

// copyTruncate is logrotate's.
func (s *stage) copyTruncate(to string) {
	s.t.Helper()
	writeFile(s.t, s.path(to), mustRead(s.t, s.path("app.log")))
	s.must(os.Truncate(s.path("app.log"), 0))
}

// replace is rsync's: a new file that begins with all that the log holds.
func (s *stage) replace(more int) {
	s.t.Helper()
	writeFile(s.t, s.path(".app.log.Xy12Za"), mustRead(s.t, s.path("app.log"))+s.next(more))
	s.rename(".app.log.Xy12Za", "app.log")
}

// edit is vim's: the log becomes a backup, is written anew, and the backup goes.
func (s *stage) edit(more int) {
	s.t.Helper()
	text := mustRead(s.t, s.path("app.log"))
	s.rename("app.log", "app.log~")
	writeFile(s.t, s.path("app.log"), text+s.next(more))
	s.remove("app.log~")
}

// cut leaves the first lines of the log.
func (s *stage) cut(lines int) {
	s.t.Helper()
	size := 0
	for line := range strings.Lines(mustRead(s.t, s.path("app.log"))) {
		if lines--; lines < 0 {
			break
		}
		size += len(line)
	}
	s.must(os.Truncate(s.path("app.log"), int64(size)))
}

// allocate makes a log of zeros, which fill replaces.
func (s *stage) allocate(size int) {
	s.t.Helper()
	s.close()
	f, err := os.OpenFile(s.path("app.log"), os.O_CREATE|os.O_RDWR, 0o644)
	s.must(err)
	s.must(f.Truncate(int64(size)))
	s.filled, s.offset = f, 0
	if s.mapped {
		s.memory, err = unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		s.must(err)
	}
}

func (s *stage) fill(n int) {
	s.t.Helper()
	text := s.next(n)
	if s.memory != nil {
		copy(s.memory[s.offset:], text)
	} else {
		_, err := s.filled.WriteAt([]byte(text), int64(s.offset))
		s.must(err)
	}
	s.offset += len(text)
}

// finish cuts off the zeros that are left.
func (s *stage) finish() { s.t.Helper(); s.must(s.filled.Truncate(int64(s.offset))) }

func (s *stage) close() {
	s.t.Helper()
	if s.memory != nil {
		s.must(unix.Munmap(s.memory))
		s.memory = nil
	}
	if s.filled != nil {
		s.must(s.filled.Close())
		s.filled = nil
	}
}

func (s *stage) link(to, name string) {
	s.t.Helper()
	s.must(os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	s.must(os.Symlink(s.path(to), s.path(name)))
}

// swap makes a link point elsewhere, in one step.
func (s *stage) swap(to, name string) {
	s.t.Helper()
	s.link(to, name+".new")
	s.rename(name+".new", name)
}
