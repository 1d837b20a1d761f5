// Package identity gives a collector its name: made at its first start, kept
// in its data directory, and bound to the machine. A disk that was cloned to
// another machine makes another collector, so that the two never give the same
// id to different segments.
package identity

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/akupara/akupara/disk"
)

// Identity tells one start of one collector from all others.
type Identity struct {
	ID     string // of the collector: "c" and 12 hexadecimal digits
	Starts uint64 // how often it was started, this time included
}

// Instance is unique to this start: what is numbered under it needs no memory
// of the numbers given before.
func (i Identity) Instance() string { return fmt.Sprintf("%s.%d", i.ID, i.Starts) }

const (
	version  = 1
	fileName = "identity.json"
)

type stored struct {
	Version int    `json:"version"`
	ID      string `json:"id"`
	Machine string `json:"machine"` // a hash of the machine's id, "" where it has none
	Starts  uint64 `json:"starts"`
}

var idRE = regexp.MustCompile(`^c[0-9a-f]{12}$`)

// Next returns the identity for a new start of the collector in dir, which
// exists and is locked, and has stored it durably. machineID is the machine's
// own, "" where it is not known. changed says why there is a new ID although
// there was one before.
func Next(d disk.Disk, dir, machineID string) (id Identity, changed string, err error) {
	machine := ""
	if machineID != "" {
		// The machine's id itself is a secret of the machine.
		sum := sha256.Sum256([]byte("akupara collector " + machineID))
		machine = hex.EncodeToString(sum[:8])
	}
	s := stored{Version: version}
	raw, err := os.ReadFile(filepath.Join(dir, fileName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, syscall.EISDIR), errors.Is(err, fs.ErrPermission):
		// A new id costs nothing: segments keep the names they have.
		changed = fmt.Sprintf("the identity file can't be read (%v); it was set aside", err)
		if err := setAside(d, dir); err != nil {
			return Identity{}, "", fmt.Errorf("set the identity aside: %w", err)
		}
	case err != nil:
		return Identity{}, "", fmt.Errorf("read identity: %w", err)
	default:
		if err := json.Unmarshal(raw, &s); err != nil || !idRE.MatchString(s.ID) {
			s, changed = stored{}, "the identity file is damaged"
		} else if s.Version != version {
			return Identity{}, "", fmt.Errorf("read identity: %s has version %d, want %d", filepath.Join(dir, fileName), s.Version, version)
		} else if machine != "" && s.Machine != "" && s.Machine != machine {
			s, changed = stored{}, "the data directory comes from another machine"
		}
	}
	if s.ID == "" {
		var b [6]byte
		_, _ = rand.Read(b[:]) // never fails
		s = stored{Version: version, ID: "c" + hex.EncodeToString(b[:])}
	}
	if machine != "" {
		s.Machine = machine
	}
	s.Starts++
	if err := write(d, dir, s); errors.Is(err, syscall.ENOSPC) {
		// A full disk gets room only by a collector that starts and uploads: a
		// random number that is not stored is as unique.
		var b [8]byte
		_, _ = rand.Read(b[:])
		s.Starts = binary.LittleEndian.Uint64(b[:]) | 1<<63
	} else if err != nil {
		return Identity{}, "", fmt.Errorf("store identity: %w", err)
	}
	return Identity{ID: s.ID, Starts: s.Starts}, changed, nil
}

// setAside gives what is in the identity's place a name that nothing has.
func setAside(d disk.Disk, dir string) error {
	from := filepath.Join(dir, fileName)
	for n := 1; ; n++ {
		to := fmt.Sprintf("%s.%d.damaged", from, n)
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			return d.Rename(from, to)
		}
	}
}

func write(d disk.Disk, dir string, s stored) error {
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return disk.Publish(d, filepath.Join(dir, fileName), bytes.NewReader(append(raw, '\n')), 0o640)
}

// MachineID is what systemd calls this machine, "" where nothing says.
func MachineID() string {
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		if raw, err := os.ReadFile(path); err == nil {
			if id := strings.TrimSpace(string(raw)); id != "" {
				return id
			}
		}
	}
	return ""
}
