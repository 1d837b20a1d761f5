package spool_test

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// Whatever lies in a segment's file, the spool starts, keeps every byte in the
// segment or in quarantine, and answers only for batches that it can read.
func FuzzOpenWithAnyFile(f *testing.F) {
	a, b := batch(f, "app", "s", 0, "one"), batch(f, "app", "s", 3, "two")
	f.Add(a.Frame, true)
	f.Add(append(bytes.Clone(a.Frame), b.Frame...), false)
	f.Add(append(bytes.Clone(a.Frame), b.Frame[:30]...), true)
	f.Add([]byte("AKB1"), false)
	f.Add([]byte{}, true)
	f.Fuzz(func(t *testing.T, content []byte, sealed bool) {
		dir := t.TempDir()
		name := "20260101T000000.000000Z-c0.1-000001.open"
		if sealed {
			name = "20260101T000000.000000Z-c0.1-000001.sealed"
		}
		write(t, dir, "app", name, content)
		o := options(t, dir)
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
		r := start(t, o)
		r.stop()
		if r.Status().Sealed == 1 {
			g := r.nextSealed(t)
			if _, err := r.Repair(g); err != nil {
				t.Fatal(err)
			}
			if n, known := r.Lookup("app", g.ID); known && len(blocks(t, g)) != n {
				t.Fatalf("%d batches are answered for, %d can be read", n, len(blocks(t, g)))
			}
		}
		var kept int64
		_ = filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
			if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
				kept += info.Size()
			}
			return nil
		})
		if kept != int64(len(content)) {
			t.Fatalf("%d bytes are in the spool and in quarantine, want all %d", kept, len(content))
		}
	})
}
