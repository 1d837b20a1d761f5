package table

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
)

// A base is written anew when there are maxDeltas, or when they have outgrown
// it and there are at least minDeltas.
const (
	maxDeltas = 64
	minDeltas = 8
)

// coverageFile is one entry of the property that lists them, "NAME:BYTES:CRC".
// The file has a checksum of its own, too: this one tells it from others.
type coverageFile struct {
	name   string // of the file, in the table's _coverage
	bytes  int64
	crc    uint32
	hasCRC bool // older versions wrote "NAME:BYTES"
}

// coverageFiles are a base and the deltas since, in the order of the commits.
type coverageFiles []coverageFile

var coverageRE = regexp.MustCompile(`^((?:base|delta)-[A-Za-z0-9_.-]+\.cov):([0-9]{1,18})(?::([0-9a-f]{8}))?$`)

func parseCoverageFiles(prop string) (coverageFiles, error) {
	if prop == "" {
		return nil, nil
	}
	var out coverageFiles
	for entry := range strings.SplitSeq(prop, ",") {
		m := coverageRE.FindStringSubmatch(entry)
		if m == nil {
			return nil, fmt.Errorf("property %s: %q is not NAME:BYTES:CRC of a coverage file", propCoverage, entry)
		}
		n, _ := strconv.ParseInt(m[2], 10, 64) // the expression lets numbers through alone
		crc, err := strconv.ParseUint(m[3], 16, 32)
		out = append(out, coverageFile{m[1], n, uint32(crc), err == nil})
	}
	return out, nil
}

func (f coverageFiles) String() string {
	entries := make([]string, len(f))
	for i, x := range f {
		entries[i] = fmt.Sprintf("%s:%d", x.name, x.bytes)
		if x.hasCRC {
			entries[i] += fmt.Sprintf(":%08x", x.crc)
		}
	}
	return strings.Join(entries, ",")
}

// needBase reports whether the next commit should write a new base.
func (f coverageFiles) needBase() bool {
	if len(f) == 0 {
		return true
	}
	var deltas int64
	for _, x := range f[1:] {
		deltas += x.bytes
	}
	n := len(f) - 1
	return n >= maxDeltas || n >= minDeltas && deltas > f[0].bytes
}

// Coverage reads what the table holds. When it fails with fs.ErrNotExist, the
// table has moved on since it was opened: open it again. ErrDamaged says that
// a file of it is.
func (t *Table) Coverage(ctx context.Context) (coverage.Set, error) {
	files, err := t.coverageFiles()
	if err != nil {
		return nil, err
	}
	set := coverage.Set{}
	for _, f := range files {
		part, err := t.readCoverage(ctx, f)
		if err != nil {
			return nil, fmt.Errorf("table %s: read coverage: %w", t.dataType, t.judge(ctx, err))
		}
		if len(set) == 0 {
			set = part
		} else {
			set.Merge(part)
		}
	}
	return set, nil
}

func (t *Table) readCoverage(ctx context.Context, f coverageFile) (coverage.Set, error) {
	p := t.coveragePath(f)
	b, err := readFile(ctx, t.fs, KindCoverage, p, coverage.MaxCoded)
	if err != nil {
		return nil, err
	}
	if f.hasCRC {
		if why := (sum{f.bytes, f.crc}).check(b); why != "" {
			return nil, damaged(KindCoverage, p, "%s", why)
		}
	}
	set, err := coverage.Decode(b)
	if errors.Is(err, chunk.ErrInvalid) {
		return nil, damaged(KindCoverage, p, "can't be decoded: %v", err)
	}
	return set, err
}

func (t *Table) coverageDir() string { return path.Join(dir(t.dataType), "_coverage") }

func (t *Table) coveragePath(f coverageFile) string { return path.Join(t.coverageDir(), f.name) }

func (t *Table) coverageFiles() (coverageFiles, error) {
	if t.meta == nil {
		return nil, nil
	}
	files, err := parseCoverageFiles(t.meta.Properties()[propCoverage])
	if err != nil {
		return nil, damaged(KindMetadata, t.MetadataPath(), "is wrong: %v", err)
	}
	return files, nil
}

// writeCoverage writes what the commit adds, as a delta or into a new base,
// and returns the files that make up the coverage then.
func (a *attempt) writeCoverage(ctx context.Context, run string, delta coverage.Set) (coverageFiles, error) {
	files, err := a.base.coverageFiles()
	if err != nil {
		return nil, err
	}
	delta = delta.Clone()
	now := time.Now()
	for _, st := range delta {
		if st.Seen.IsZero() {
			st.Seen = now
		}
		st.Since = st.Seen // of the first commit that tells of it: a merge keeps that
	}
	kind, set := "delta", delta
	if files.needBase() {
		kind = "base"
		if set, err = a.base.Coverage(ctx); err != nil {
			return nil, err
		}
		set.Merge(delta)
		set.Trim()
		files = nil
	}
	file, err := a.writeCoverageFile(kind+"-"+run, set)
	if err != nil {
		return nil, err
	}
	return append(files[:len(files):len(files)], file), nil
}

// writeCoverageFile writes a new file of _coverage, its name beginning with prefix.
func (a *attempt) writeCoverageFile(prefix string, set coverage.Set) (coverageFile, error) {
	b, err := set.Encode()
	if err != nil {
		return coverageFile{}, err
	}
	var id [6]byte // tells attempts of one run apart
	_, _ = rand.Read(id[:])
	name := fmt.Sprintf("%s-%s.cov", prefix, hex.EncodeToString(id[:]))
	if err := a.io.WriteFile(a.io.uri(path.Join(a.base.coverageDir(), name)), b); err != nil {
		return coverageFile{}, fmt.Errorf("write coverage: %w", err)
	}
	s := sumOf(b)
	return coverageFile{name, s.size, s.crc, true}, nil
}
