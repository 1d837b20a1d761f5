package tail

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

var compressed = map[string]string{
	".gz": "gzip", ".tgz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd", ".lz4": "lz4", ".Z": "compress", ".zip": "zip",
}

// skippedName says why a file with this name is not read; empty: it is.
func skippedName(path string) string {
	if how := compressed[filepath.Ext(path)]; how != "" {
		return "compressed (" + how + "), by its name"
	}
	if strings.HasSuffix(path, ".swp") {
		return "an editor's swap file"
	}
	return ""
}

var magics = []struct{ magic, what string }{
	{"\x1f\x8b", "compressed (gzip)"},
	{"BZh", "compressed (bzip2)"},
	{"\xfd7zXZ\x00", "compressed (xz)"},
	{"\x28\xb5\x2f\xfd", "compressed (zstd)"},
	{"\x04\x22\x4d\x18", "compressed (lz4)"},
	{"PK\x03\x04", "compressed (zip)"},
	{"LPKSHHRH", "binary (a systemd journal)"},
	{"SQLite format 3\x00", "binary (an SQLite database)"},
	{"\x7fELF", "binary (a program)"},
	{"\xff\xfe", "UTF-16, which is not read yet"},
	{"\xfe\xff", "UTF-16, which is not read yet"},
}

// skippedHead says why a file that starts with head is not read. A hole before
// the first data is no reason by itself: a writer that does not append leaves
// one after a truncation.
func skippedHead(f *os.File, head []byte, size int64) string {
	for _, m := range magics {
		if strings.HasPrefix(string(head), m.magic) {
			return m.what
		}
	}
	if head[0] == 0 {
		at, err := ident.FirstData(f, size)
		if err != nil || at == 0 {
			return "binary"
		}
		after := make([]byte, ident.MaxHead)
		n, err := f.ReadAt(after, at)
		if n == 0 || err != nil && !errors.Is(err, io.EOF) || at < 4096 {
			return "binary (starts with NULs)"
		}
		head = after[:n]
	}
	if nuls := bytes.Count(head, []byte{0}); nuls*10 > len(head) {
		return "binary (many NULs)"
	}
	return ""
}

func kindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}
