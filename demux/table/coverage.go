package table

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/akupara/akupara/demux/coverage"
)

// A base is written anew when there are maxDeltas, or when they have outgrown
// it and there are at least minDeltas.
const (
	maxDeltas = 64
	minDeltas = 8
)

// coverageFile is one entry of the property that lists them, "NAME:BYTES".
type coverageFile struct {
	name  string // of the file, in the table's _coverage
	bytes int64
}

// coverageFiles are a base and the deltas since, in the order of the commits.
type coverageFiles []coverageFile

var coverageRE = regexp.MustCompile(`^(base|delta)-[A-Za-z0-9_.-]+\.cov$`)

func parseCoverageFiles(prop string) (coverageFiles, error) {
	if prop == "" {
		return nil, nil
	}
	var out coverageFiles
	for entry := range strings.SplitSeq(prop, ",") {
		name, size, ok := strings.Cut(entry, ":")
		n, err := strconv.ParseInt(size, 10, 64)
		if !ok || err != nil || !coverageRE.MatchString(name) {
			return nil, fmt.Errorf("property %s: %q is not NAME:BYTES of a coverage file", propCoverage, entry)
		}
		out = append(out, coverageFile{name, n})
	}
	return out, nil
}

func (f coverageFiles) String() string {
	entries := make([]string, len(f))
	for i, x := range f {
		entries[i] = fmt.Sprintf("%s:%d", x.name, x.bytes)
	}
	return strings.Join(entries, ",")
}

func (f coverageFiles) names() []string {
	out := make([]string, len(f))
	for i, x := range f {
		out[i] = x.name
	}
	return out
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
	b, err := set.Encode()
	if err != nil {
		return nil, err
	}
	var id [6]byte // tells attempts of one run apart
	_, _ = rand.Read(id[:])
	name := fmt.Sprintf("%s-%s-%s.cov", kind, run, hex.EncodeToString(id[:]))
	if err := a.io.WriteFile(a.io.uri(path.Join(a.base.coverageDir(), name)), b); err != nil {
		return nil, fmt.Errorf("write coverage: %w", err)
	}
	return append(files[:len(files):len(files)], coverageFile{name, int64(len(b))}), nil
}
