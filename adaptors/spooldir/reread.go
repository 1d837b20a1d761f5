package spooldir

import (
	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"

	"golang.org/x/sys/unix"
)

// CanReread implements adaptors.Rereader: a file that was kept and is as it was
// read.
func (a *Adaptor) CanReread(k adaptors.Stream) bool {
	id, err := decodeIdentity(k.Identity)
	if err != nil || id.Trouble != "" {
		return false
	}
	f, err := ident.Open(id.Path, unix.O_NOFOLLOW)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := ident.Fstat(f)
	if err != nil {
		return false
	}
	how, err := id.compare(id.Path, f, &info)
	return err == nil && how == same
}
