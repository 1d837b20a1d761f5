package pods

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// kubelet does with the logs of pods what a kubelet and a container runtime do:
// it writes, rotates, compresses and deletes them.
type kubelet struct {
	t        testing.TB
	root     string
	maxFiles int
	clock    time.Time // of rotations
	lines    int
	all      []*ctr
}

func newKubelet(t testing.TB) *kubelet {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &kubelet{t: t, root: root, maxFiles: 5, clock: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
}

// ctr is a running instance of a container.
type ctr struct {
	k     *kubelet
	pod   string // NAMESPACE_POD_UID
	path  string // of its log
	f     *os.File
	wrote strings.Builder
	late  *os.File // the file before, which the runtime may still hold
	json  string   // docker's log, which path leads to; empty: the kubelet rotates
	zip   bool     // docker's option compress
}

func (k *kubelet) ok(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

// run starts an instance of a container.
func (k *kubelet) run(pod, name string, restart int) *ctr {
	k.t.Helper()
	c := &ctr{k: k, pod: pod, path: filepath.Join(k.root, pod, name, fmt.Sprint(restart)+".log")}
	k.ok(os.MkdirAll(filepath.Dir(c.path), 0o755))
	c.open(c.path)
	k.all = append(k.all, c)
	return c
}

func (c *ctr) open(path string) {
	var err error
	c.f, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	c.k.ok(err)
}

// raw writes text as it is.
func (c *ctr) raw(text string) {
	c.k.t.Helper()
	_, err := c.f.WriteString(text)
	c.k.ok(err)
	c.wrote.WriteString(text)
}

// frame makes a line that no other call makes.
func (k *kubelet) frame(output, tag, message string) string {
	k.lines++
	at := time.Date(2026, 3, 1, 10, 0, 0, 123456789, time.UTC).Add(time.Duration(k.lines) * time.Millisecond)
	return fmt.Sprintf("%s %s %s %s\n", at.Format(time.RFC3339Nano), output, tag, message)
}

// write writes n whole lines.
func (c *ctr) write(n int) {
	c.k.t.Helper()
	var b strings.Builder
	for range n {
		b.WriteString(c.k.frame("stdout", "F", fmt.Sprintf("line %d, neither long nor short", c.k.lines)))
	}
	c.raw(b.String())
}

// line writes one line.
func (c *ctr) line(output, tag, message string) {
	c.k.t.Helper()
	c.raw(c.k.frame(output, tag, message))
}

// rotate does what the kubelet does when a log is large: old files are removed,
// the ones before are compressed, the log is renamed, and the runtime reopens it.
func (c *ctr) rotate() {
	c.k.t.Helper()
	if c.json != "" {
		c.rotateAsDocker()
		return
	}
	c.tidy()
	c.rename()
	c.reopen()
}

func (c *ctr) rotated() []string {
	if c.json != "" {
		return c.rotatedByDocker()
	}
	all, err := filepath.Glob(c.path + ".*")
	c.k.ok(err)
	slices.Sort(all)
	return all
}

func (c *ctr) tidy() {
	c.k.t.Helper()
	for all := c.rotated(); len(all) > c.k.maxFiles-2; all = all[1:] {
		c.k.ok(os.Remove(all[0]))
	}
	for _, path := range c.rotated() {
		if !strings.HasSuffix(path, ".gz") {
			c.k.compress(path)
		}
	}
}

func (c *ctr) rename() {
	c.k.t.Helper()
	c.k.clock = c.k.clock.Add(time.Second)
	c.k.ok(os.Rename(c.path, c.path+"."+c.k.clock.Format("20060102-150405")))
}

func (c *ctr) reopen() {
	if c.late != nil {
		c.k.ok(c.late.Close())
	}
	c.late = c.f
	c.open(c.path)
	c.k.ok(c.late.Close())
	c.late = nil
}

// compress writes PATH.gz by a temporary file and removes PATH.
func (k *kubelet) compress(path string) {
	k.t.Helper()
	k.zip(path, path+".tmp")
	k.ok(errors.Join(os.Rename(path+".tmp", path+".gz"), os.Remove(path)))
}

// compressTo writes the compressed file in its place and removes PATH.
func (k *kubelet) compressTo(path, to string) {
	k.t.Helper()
	k.zip(path, to)
	k.ok(os.Remove(path))
}

func (k *kubelet) zip(path, to string) {
	k.t.Helper()
	in, err := os.Open(path)
	k.ok(err)
	defer in.Close()
	out, err := os.Create(to)
	k.ok(err)
	z := gzip.NewWriter(out)
	_, err = io.Copy(z, in)
	k.ok(errors.Join(err, z.Close(), out.Close()))
}

// stop ends the container's process.
func (c *ctr) stop() {
	if c.f != nil {
		c.k.ok(c.f.Close())
		c.f = nil
	}
}

// remove deletes a pod with its folder.
func (k *kubelet) remove(pod string) {
	k.t.Helper()
	for _, c := range k.all {
		if c.pod == pod {
			c.stop()
		}
	}
	err := os.RemoveAll(filepath.Join(k.root, pod))
	if !errors.Is(err, fs.ErrNotExist) {
		k.ok(err)
	}
	for _, c := range k.all {
		if c.pod == pod && c.json != "" {
			k.ok(os.RemoveAll(filepath.Dir(c.json)))
		}
	}
}
