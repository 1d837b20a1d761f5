package audit

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/table"
)

// memory is the form in which what data files said is kept in the cache directory,
// behind its CRC-32C in hexadecimal digits and a newline.
type memory struct {
	Version int              `json:"version"`
	Store   string           `json:"store"`
	Type    string           `json:"type"`
	Told    map[string]int64 `json:"told"`
	Plain   map[string]int64 `json:"plain"`
	Hulls   []byte           `json:"hulls"`
	// Ranges is the file beside it that has what the data files told.
	Ranges string `json:"ranges"`
	Size   int64  `json:"size"`
	CRC    uint32 `json:"crc"`
}

// memoryVersion changes with the meaning of what is kept.
const memoryVersion = 2

// memoryDir is where what the data files of the store's tables said is kept; empty
// where there is no cache directory.
func (a *auditor) memoryDir() string {
	if a.opts.CacheDir == "" {
		return ""
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(a.baseURI)) // never fails
	return filepath.Join(a.opts.CacheDir, "audit", hex.EncodeToString(h.Sum(nil)))
}

// memoryFile is where it is kept of one table.
func (a *auditor) memoryFile(dataType string) string {
	return filepath.Join(a.memoryDir(), dataType+".ranges")
}

// recall returns what is remembered of the table's data files. It is nothing where
// one of them is not in the table any more, or anything else is odd: then all of
// them are asked again.
func (a *auditor) recall(dataType string, files []table.File) *held {
	h := newHeld(a.memoryDir())
	if h.dir == "" || !a.remembered(dataType, files, h) {
		h.close()
		return newHeld(h.dir)
	}
	return h
}

func (a *auditor) remembered(dataType string, files []table.File, h *held) bool {
	m, err := readMemory(a.memoryFile(dataType))
	if err != nil || m.Version != memoryVersion || m.Store != a.baseURI || m.Type != dataType || filepath.Base(m.Ranges) != m.Ranges {
		return false
	}
	sizes := make(map[string]int64, len(files))
	for _, f := range files {
		sizes[f.Path] = f.Size
	}
	for _, list := range []struct{ from, to map[string]int64 }{{m.Told, h.told}, {m.Plain, h.plain}} {
		for p, size := range list.from {
			if now, there := sizes[p]; !there || now != size {
				return false
			}
			list.to[p] = size
		}
	}
	if h.hulls, err = coverage.Decode(m.Hulls); err != nil {
		return false
	}
	f, err := openSorted(filepath.Join(h.dir, m.Ranges), m.Size, m.CRC)
	if err != nil {
		return false
	}
	h.files = []*sortedFile{f}
	return true
}

func readMemory(name string) (m memory, err error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return m, err
	}
	if len(b) < 9 || string(b[:9]) != fmt.Sprintf("%08x\n", chunk.CRC(b[9:])) {
		return m, fmt.Errorf("%s is damaged", name)
	}
	return m, json.Unmarshal(b[9:], &m)
}

// remember keeps what the data files said, for the next audit. It is a help alone:
// where it can't be written, all files are asked again.
func (a *auditor) remember(dataType string, h *held) {
	if h.dir == "" || !h.fresh {
		return
	}
	if len(h.files) == 0 {
		h.spill()
	}
	if len(h.files) != 1 {
		return
	}
	f := h.files[0]
	m := memory{
		Version: memoryVersion, Store: a.baseURI, Type: dataType, Told: h.told, Plain: h.plain,
		Ranges: fmt.Sprintf("%s-%08x.cov", dataType, f.crc), Size: f.size, CRC: f.crc,
	}
	old, _ := readMemory(a.memoryFile(dataType))
	var err error
	if m.Hulls, err = h.hulls.Encode(); err != nil {
		return
	}
	b, err := json.Marshal(m)
	if err != nil {
		return
	}
	if !f.kept {
		if os.Rename(f.f.Name(), filepath.Join(h.dir, m.Ranges)) != nil {
			return
		}
		f.kept = true
	}
	if writeMemory(a.memoryFile(dataType), b) && old.Ranges != m.Ranges && filepath.Base(old.Ranges) == old.Ranges {
		_ = os.Remove(filepath.Join(h.dir, old.Ranges)) // it may be left, and does no harm
	}
}

// writeMemory reports whether it could.
func writeMemory(name string, b []byte) bool {
	tmp, err := os.CreateTemp(filepath.Dir(name), "_*.tmp")
	if err != nil {
		return false
	}
	_, err = tmp.Write(append(fmt.Appendf(nil, "%08x\n", chunk.CRC(b)), b...))
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		_ = os.Remove(tmp.Name()) // it may be left, and does no harm
	}
	return err == nil
}
