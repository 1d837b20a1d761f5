package pods

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
)

type (
	adaptorsStream  = adaptors.Stream
	adaptorsAdaptor = adaptors.Adaptor
)

// contents returns what is in the files that there are of a container, oldest
// first.
func (c *ctr) contents() []string {
	c.k.t.Helper()
	var out []string
	for _, path := range append(c.rotated(), c.path) {
		f, err := os.Open(path)
		c.k.ok(err)
		var r io.Reader = f
		if strings.HasSuffix(path, ".gz") {
			r, err = gzip.NewReader(f)
			c.k.ok(err)
		}
		b, err := io.ReadAll(r)
		c.k.ok(err)
		c.k.ok(f.Close())
		out = append(out, string(b))
	}
	return out
}

func (c *ctr) stat() ident.Info {
	c.k.t.Helper()
	info, err := ident.Stat(c.path)
	c.k.ok(err)
	return info
}

// openFiles counts the files below the root that the process has open, but for
// those that the test's own kubelet writes to.
func (r *rig) openFiles() int {
	fds, err := os.ReadDir("/proc/self/fd")
	r.ok(err)
	n := 0
	for _, e := range fds {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && strings.HasPrefix(to, r.root) && strings.Contains(filepath.Base(to), ".log") {
			n++
		}
	}
	for _, c := range r.all {
		if c.f != nil {
			n--
		}
	}
	return n
}

// sees reports whether the adaptor has the present log open, which is not the one
// that was there before.
func (r *rig) sees(c *ctr, before ident.Info) bool {
	now := c.stat()
	if now.Key() == before.Key() {
		return false
	}
	fds, err := os.ReadDir("/proc/self/fd")
	r.ok(err)
	n := 0
	for _, e := range fds {
		if info, err := ident.Stat("/proc/self/fd/" + e.Name()); err == nil && info.Key() == now.Key() {
			n++
		}
	}
	return n > 1
}
