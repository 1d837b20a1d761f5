package tail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/charset"
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
	{"\xfd7zXZ\x00", "compressed (xz)"},
	{"\x28\xb5\x2f\xfd", "compressed (zstd)"},
	{"\x04\x22\x4d\x18", "compressed (lz4)"},
	{"PK\x03\x04", "compressed (zip)"},
	{"LPKSHHRH", "binary (a systemd journal)"},
	{"SQLite format 3\x00", "binary (an SQLite database)"},
	{"\x7fELF", "binary (a program)"},
	{"\xff\xfe\x00\x00", "UTF-32, which is not read"},
}

// skippedHead says why a file that starts with head is not read. A hole before
// the first data is no reason by itself: a writer that does not append leaves
// one after a truncation. Nor are NULs behind lines of text: a crash of the
// machine leaves such.
func skippedHead(choice charset.Choice, f *os.File, head []byte, size int64) string {
	for _, m := range magics {
		if strings.HasPrefix(string(head), m.magic) {
			return m.what
		}
	}
	if len(head) >= 10 && string(head[:3]) == "BZh" && string(head[4:10]) == "1AY&SY" { // a line may start with BZh
		return "compressed (bzip2)"
	}
	encoding, _ := choice.Of(head)
	if width, _ := chunk.Unit(encoding); width > 1 {
		return "" // NULs are in every line
	}
	if mark := charset.FromBOM(head); mark != "" {
		return fmt.Sprintf("%s by its byte order mark, but encoding is %s", mark, choice)
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
	if nuls := bytes.Count(head, []byte{0}); nuls*10 > len(head) && !startsWithLine(head) {
		return "binary (many NULs)"
	}
	return ""
}

// startsWithLine reports whether what comes before the first NUL is text with a
// whole line in it.
func startsWithLine(head []byte) bool {
	head, _, _ = bytes.Cut(head, []byte{0})
	return bytes.IndexByte(head, '\n') >= 0 &&
		!bytes.ContainsFunc(head, func(c rune) bool { return c < ' ' && !strings.ContainsRune("\a\b\t\n\v\f\r\x1b", c) })
}

// ignored is a file that was not read because nobody had written to it for long.
type ignored struct {
	key            ident.Key
	size, modified int64
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
