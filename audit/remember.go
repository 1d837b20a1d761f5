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
	Ranges  []byte           `json:"ranges"`
	Hulls   []byte           `json:"hulls"`
}

// memoryVersion changes with the meaning of what is kept.
const memoryVersion = 1

// memoryFile is where what the data files of a table said is kept; empty where
// there is no cache directory.
func (a *auditor) memoryFile(dataType string) string {
	if a.opts.CacheDir == "" {
		return ""
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(a.baseURI)) // never fails
	return filepath.Join(a.opts.CacheDir, "audit", hex.EncodeToString(h.Sum(nil)), dataType+".ranges")
}

// recall returns what is remembered of the table's data files. It is nothing where
// one of them is not in the table any more, or anything else is odd: then all of
// them are asked again.
func (a *auditor) recall(dataType string, files []table.File) *held {
	m, err := readMemory(a.memoryFile(dataType))
	if err != nil || m.Version != memoryVersion || m.Store != a.baseURI || m.Type != dataType {
		return newHeld()
	}
	h := newHeld()
	if h.ranges, err = coverage.Decode(m.Ranges); err != nil {
		return newHeld()
	}
	if h.hulls, err = coverage.Decode(m.Hulls); err != nil {
		return newHeld()
	}
	sizes := make(map[string]int64, len(files))
	for _, f := range files {
		sizes[f.Path] = f.Size
	}
	for _, list := range []struct{ from, to map[string]int64 }{{m.Told, h.told}, {m.Plain, h.plain}} {
		for p, size := range list.from {
			if now, there := sizes[p]; !there || now != size {
				return newHeld()
			}
			list.to[p] = size
		}
	}
	return h
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
	name := a.memoryFile(dataType)
	if name == "" {
		return
	}
	m := memory{Version: memoryVersion, Store: a.baseURI, Type: dataType, Told: h.told, Plain: h.plain}
	var err error
	if m.Ranges, err = h.ranges.Encode(); err != nil {
		return
	}
	if m.Hulls, err = h.hulls.Encode(); err != nil {
		return
	}
	b, err := json.Marshal(m)
	if err != nil || os.MkdirAll(filepath.Dir(name), 0o750) != nil {
		return
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), "_*.tmp")
	if err != nil {
		return
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
}
