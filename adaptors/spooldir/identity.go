package spooldir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// identity is what is stored of a file to find it again.
type identity struct {
	ident.Identity
	Size     int64  `json:"size"`     // bytes of the file when it was complete
	Modified int64  `json:"modified"` // Unix nanoseconds
	Tail     uint64 `json:"tail"`     // fingerprint of the bytes before Size
	Packed   bool   `json:"packed,omitempty"`
	Trouble  string `json:"trouble,omitempty"` // why it was not read whole, or has changed since: it stays where it is
	Done     bool   `json:"done,omitempty"`    // all of it, its end too, is settled
	Anew     bool   `json:"anew,omitempty"`    // other bytes were in the file before
}

func (id *identity) encode() []byte {
	b, err := json.Marshal(id)
	if err != nil {
		panic(fmt.Sprintf("spooldir: %v", err)) // plain fields only
	}
	return b
}

func decodeIdentity(b []byte) (identity, error) {
	var id identity
	if err := json.Unmarshal(b, &id); err != nil {
		return id, fmt.Errorf("decode a file's identity: %w", err)
	}
	if id.HeadLen < 0 || id.HeadLen > ident.MaxHead || id.Size < 0 {
		return id, errors.New("decode a file's identity: a length that can't be")
	}
	return id, nil
}

// newIdentity looks at an open file.
func newIdentity(path string, f *os.File, info *ident.Info) (identity, error) {
	head, err := ident.ReadHead(f)
	if err != nil {
		return identity{}, fmt.Errorf("read the head of %s: %w", path, err)
	}
	id := identity{Size: info.Size, Modified: info.Modified}
	id.Identity = ident.New(path, info, head[:min(int64(len(head)), info.Size)])
	id.Packed = len(head) > 2 && head[0] == 0x1f && head[1] == 0x8b
	window, err := ident.Window(f, info.Size)
	if err != nil {
		return identity{}, fmt.Errorf("read the end of %s: %w", path, err)
	}
	id.Tail = ident.Sum(window)
	return id, nil
}

// origin names an open file so that it is known again when nothing is stored of
// it, where that can be. Its last line is whole: the file is complete.
func origin(f *os.File, info *ident.Info, reused bool) (string, error) {
	head, err := ident.ReadHead(f)
	if err != nil {
		return "", fmt.Errorf("read the head of %s: %w", f.Name(), err)
	}
	return ident.Origin(f, info, append(head, '\n'), reused), nil
}

// likeness says how a file is to the one that an identity was made of.
type likeness int

const (
	other   likeness = iota
	same             // byte for byte, as far as fingerprints tell
	grown            // the same, with more behind it
	changed          // the same file with the same head, written anew behind it
)

// sameAtASight reports whether the file system says that nothing has changed.
func (id *identity) sameAtASight(info *ident.Info) bool {
	return id.SameInode(info) && id.Size == info.Size && id.Modified == info.Modified
}

// compare compares an open file with an identity. One that was restored
// elsewhere, at the same path with the same time, is the same.
func (id *identity) compare(path string, f *os.File, info *ident.Info) (likeness, error) {
	inode := id.SameInode(info)
	if restored := id.Path == path && id.Modified == info.Modified && id.Size == info.Size; !inode && !restored {
		return other, nil
	}
	head, err := ident.ReadHead(f)
	if err != nil {
		return other, fmt.Errorf("read the head of %s: %w", path, err)
	}
	if !id.SameHead(head) {
		return other, nil
	}
	if info.Size < id.Size {
		return changed, nil
	}
	window, err := ident.Window(f, id.Size)
	if err != nil && !errors.Is(err, io.EOF) {
		return other, fmt.Errorf("read %s before %d: %w", path, id.Size, err)
	}
	switch {
	case err != nil || ident.Sum(window) != id.Tail:
		if !inode {
			return other, nil
		}
		return changed, nil
	case info.Size > id.Size:
		return grown, nil
	}
	return same, nil
}
