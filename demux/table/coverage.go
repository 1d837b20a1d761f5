package table

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
)

// The coverage of a table is a tree: groups of files, the oldest first. What a newer
// group says of a stream is to be merged into what older ones say. The files of a
// group have streams behind each other, by their order.
//
// The property that names them lists the groups, with commas between them; those of
// a group with plus signs: "NAME:BYTES:CRC" or "NAME:BYTES:CRC:START", where START, in
// hexadecimal digits, is not above the file's streams and above those of the file
// before. "FROM/" before a group says that of its streams those below FROM don't
// count: the group before has them, merged. CRC tells a file from all others.
// Groups that older versions wrote are one file, base-… or delta-….
//
// Where that is too long for a property, it is in a file, "@NAME:BYTES:CRC".

// coverageFile is a file of the coverage.
type coverageFile struct {
	name   string // in the table's _coverage
	bytes  int64
	crc    uint32
	hasCRC bool // older versions wrote "NAME:BYTES"
	start  string
}

// set reports whether the file is one of a version that knew no trees.
func (f coverageFile) set() bool { return !strings.HasPrefix(f.name, treePrefix) }

const (
	treePrefix = "tree-"
	listPrefix = "list-"
)

// coverageGroup are files of which no two tell of the same stream.
type coverageGroup struct {
	from  string // what is below does not count
	files []coverageFile
}

func (g *coverageGroup) bytes() (n int64) {
	for _, f := range g.files {
		n += f.bytes
	}
	return n
}

// set reports whether a version wrote the group that knew no trees.
func (g *coverageGroup) set() bool { return g.files[0].set() }

// of returns the file that would tell of a family.
func (g *coverageGroup) of(root string) int {
	n := 0
	for n+1 < len(g.files) && g.files[n+1].start <= root {
		n++
	}
	return n
}

type coverageTree []coverageGroup

var coverageRE = regexp.MustCompile(`^([A-Za-z0-9_.-]+\.cov):([0-9]{1,18})(?::([0-9a-f]{8}))?(?::([0-9a-f]*))?$`)

func parseCoverageFile(s string) (f coverageFile, ok bool) {
	m := coverageRE.FindStringSubmatch(s)
	if m == nil {
		return f, false
	}
	f.name = m[1]
	f.bytes, _ = strconv.ParseInt(m[2], 10, 64) // the expression lets numbers through alone
	crc, err := strconv.ParseUint(m[3], 16, 32)
	f.crc, f.hasCRC = uint32(crc), err == nil
	start, err := hex.DecodeString(m[4])
	f.start = string(start)
	return f, err == nil && (f.hasCRC || f.set())
}

func (f coverageFile) String() string {
	s := fmt.Sprintf("%s:%d", f.name, f.bytes)
	if f.hasCRC {
		s += fmt.Sprintf(":%08x", f.crc)
	}
	if f.start != "" {
		s += ":" + hex.EncodeToString([]byte(f.start))
	}
	return s
}

func parseCoverageTree(text string) (coverageTree, error) {
	if text == "" {
		return nil, nil
	}
	var out coverageTree
	for entry := range strings.SplitSeq(text, ",") {
		var g coverageGroup
		rest := entry
		if from, files, ok := strings.Cut(entry, "/"); ok {
			b, err := hex.DecodeString(from)
			if err != nil || len(out) == 0 {
				return nil, fmt.Errorf("property %s: %q begins with no key", propCoverage, entry)
			}
			g.from, rest = string(b), files
		}
		for part := range strings.SplitSeq(rest, "+") {
			f, ok := parseCoverageFile(part)
			if n := len(g.files); !ok || n > 0 && (f.set() || g.set() || f.start <= g.files[n-1].start) {
				return nil, fmt.Errorf("property %s: %q is not NAME:BYTES:CRC of a coverage file", propCoverage, part)
			}
			g.files = append(g.files, f)
		}
		out = append(out, g)
	}
	return out, nil
}

func (t coverageTree) String() string {
	groups := make([]string, len(t))
	for i, g := range t {
		files := make([]string, len(g.files))
		for j, f := range g.files {
			files[j] = f.String()
		}
		if g.from != "" {
			groups[i] = hex.EncodeToString([]byte(g.from)) + "/"
		}
		groups[i] += strings.Join(files, "+")
	}
	return strings.Join(groups, ",")
}

// maxCoverageList bounds a file that lists the coverage, in bytes.
const maxCoverageList = 64 << 20

// coverageTree returns the files of the coverage, and the one that lists them, if
// there is one.
func (t *Table) coverageTree(ctx context.Context) (tree coverageTree, list *coverageFile, err error) {
	if t.meta == nil {
		return nil, nil, nil
	}
	text := t.meta.Properties()[propCoverage]
	at := t.MetadataPath()
	kind := KindMetadata
	if name, ok := strings.CutPrefix(text, "@"); ok {
		f, ok := parseCoverageFile(name)
		if !ok {
			return nil, nil, damaged(kind, at, "is wrong: property %s: %q is not NAME:BYTES:CRC", propCoverage, name)
		}
		kind, at, list = KindCoverage, t.coveragePath(f), &f
		b, err := readFile(ctx, t.fs, kind, at, maxCoverageList)
		if err != nil {
			return nil, list, err
		}
		if why := (sum{f.bytes, f.crc}).check(b); why != "" {
			return nil, list, damaged(kind, at, "%s", why)
		}
		text = string(b)
	}
	tree, err = parseCoverageTree(text)
	if err != nil {
		return nil, list, damaged(kind, at, "is wrong: %v", err)
	}
	return tree, list, nil
}

// coverageFiles returns all files of the coverage, also the one that lists them.
func (t *Table) coverageFiles(ctx context.Context) (files []coverageFile, err error) {
	tree, list, err := t.coverageTree(ctx)
	if list != nil {
		files = append(files, *list)
	}
	for _, g := range tree {
		files = append(files, g.files...)
	}
	return files, err
}

func (t *Table) coverageDir() string { return path.Join(dir(t.dataType), "_coverage") }

func (t *Table) coveragePath(f coverageFile) string { return path.Join(t.coverageDir(), f.name) }

// Coverage reads all that the table holds into memory. When it fails with
// fs.ErrNotExist, the table has moved on since it was opened: open it again.
// ErrDamaged says that a file of it is.
func (t *Table) Coverage(ctx context.Context) (coverage.Set, error) {
	all := coverage.Set{}
	err := t.EachFamily(ctx, func(_ string, family coverage.Set) error {
		for id, st := range family {
			all[id] = st
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// EachFamily calls do with all streams that the table knows, in a fixed order, a
// family at a time. Memory does not grow with their number. It fails as Coverage
// does, or with the error of do.
func (t *Table) EachFamily(ctx context.Context, do func(root string, family coverage.Set) error) error {
	src, done, err := t.CoverageSource(ctx)
	if err != nil {
		return err
	}
	defer done()
	return coverage.EachFamily(src, do)
}

// CoverageSource returns all streams that the table knows as a source, which fails as
// Coverage does. done is to be called when no more of it is needed.
func (t *Table) CoverageSource(ctx context.Context) (src coverage.Source, done func(), err error) {
	tree, _, err := t.coverageTree(ctx)
	if err != nil {
		return nil, nil, t.unread(ctx, err)
	}
	m, done := t.merger(ctx, tree, "")
	return &tableSource{t, ctx, m}, done, nil
}

func (t *Table) unread(ctx context.Context, err error) error {
	return fmt.Errorf("table %s: read coverage: %w", t.dataType, t.judge(ctx, err))
}

// tableSource says of errors whose they are.
type tableSource struct {
	t   *Table
	ctx context.Context //nolint:containedctx // a Source's calls have none
	src coverage.Source
}

// Next implements coverage.Source.
func (s *tableSource) Next() (*coverage.Piece, error) {
	p, err := s.src.Next()
	if err != nil && !errors.Is(err, io.EOF) {
		err = s.t.unread(s.ctx, err)
	}
	return p, err
}

// CoverageOf returns what the table holds of the families that are wanted, near the
// offsets that are. It reads little else, and fails as Coverage does.
func (t *Table) CoverageOf(ctx context.Context, want coverage.Want) (*coverage.Known, error) {
	tree, _, err := t.coverageTree(ctx)
	if err == nil {
		l := lookup{t: t, tree: tree, known: &coverage.Known{Set: coverage.Set{}, Roots: map[string]bool{}}}
		if err = l.run(ctx, want); err == nil {
			return l.known, nil
		}
	}
	return nil, t.unread(ctx, err)
}

// merger returns what the groups tell together of all families from that root on.
func (t *Table) merger(ctx context.Context, groups []coverageGroup, root string) (m *coverage.Merger, closeAll func()) {
	sources := make([]coverage.Source, len(groups))
	var ends []func()
	for i := range groups {
		s := &groupSource{t: t, ctx: ctx, group: &groups[i], root: max(root, groups[i].from)}
		ahead, stop := coverage.ReadAhead(s)
		sources[i] = ahead
		ends = append(ends, stop, s.close)
	}
	return coverage.NewMerger(sources...), func() {
		for _, end := range ends {
			end()
		}
	}
}

// openCoverage is a file of the coverage that is being read.
type openCoverage struct {
	path string
	r    interface{ Close() error }
	tree *coverage.File    // one of
	set  *coverage.SetFile // them
}

func (o *openCoverage) close() {
	_ = o.r.Close() // it was only read
	if o.tree != nil {
		o.tree.Close()
	}
}

func (o *openCoverage) source(root string) (coverage.Source, error) {
	if o.set != nil {
		return o.set.Source(root)
	}
	return o.tree.Source(root)
}

// wrong says of an error in reading the file whether it is damaged.
func (o *openCoverage) wrong(err error) error {
	if errors.Is(err, chunk.ErrInvalid) {
		return damaged(KindCoverage, o.path, "can't be decoded: %v", err)
	}
	return fmt.Errorf("read %s: %w", o.path, err)
}

func (t *Table) openCoverage(ctx context.Context, f coverageFile) (*openCoverage, error) {
	o, err := t.tryCoverage(ctx, f)
	if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
		if info, statErr := t.fs.Stat(ctx, t.coveragePath(f)); statErr == nil && info.IsDir {
			return nil, damaged(KindCoverage, t.coveragePath(f), "is a folder")
		}
	}
	return o, err
}

func (t *Table) tryCoverage(ctx context.Context, f coverageFile) (*openCoverage, error) {
	p := t.coveragePath(f)
	r, err := t.fs.Open(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", p, err)
	}
	o := &openCoverage{path: p, r: r}
	switch size := r.Size(); {
	case size != f.bytes:
		err = damaged(KindCoverage, p, "has %d bytes, should have %d", size, f.bytes)
	case f.set():
		var crc uint32
		if o.set, crc, err = coverage.OpenSet(r, size); err == nil && f.hasCRC && crc != f.crc {
			err = damaged(KindCoverage, p, "has other bytes than were written: their CRC is %08x, should be %08x", crc, f.crc)
		} else if err != nil {
			err = o.wrong(err)
		}
	default:
		if o.tree, err = coverage.OpenFile(r, size, f.crc); err != nil {
			err = o.wrong(err)
		}
	}
	if err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// checkCoverage reads a file, and compares it with its checksums.
func (t *Table) checkCoverage(ctx context.Context, f coverageFile) error {
	if strings.HasPrefix(f.name, listPrefix) {
		_, _, err := t.coverageTree(ctx)
		return err
	}
	o, err := t.openCoverage(ctx, f)
	if err != nil {
		return err
	}
	defer o.close()
	if o.tree != nil {
		if err := o.tree.Verify(); err != nil {
			return o.wrong(err)
		}
	}
	return nil
}

// groupSource returns the pieces of a group from a root on. It opens its files one
// after the other.
type groupSource struct {
	t     *Table
	ctx   context.Context //nolint:containedctx // a Source's calls have none
	group *coverageGroup
	root  string
	next  int // file
	begun bool
	open  *openCoverage
	src   coverage.Source
}

// Next implements coverage.Source.
func (s *groupSource) Next() (*coverage.Piece, error) {
	if !s.begun {
		s.begun, s.next = true, s.group.of(s.root)
	}
	for {
		if s.src == nil {
			if s.next == len(s.group.files) {
				return nil, io.EOF
			}
			if err := s.begin(); err != nil {
				return nil, err
			}
		}
		p, err := s.src.Next()
		if err == nil {
			return p, s.ctx.Err()
		}
		if !errors.Is(err, io.EOF) {
			return nil, s.open.wrong(err)
		}
		s.close()
	}
}

func (s *groupSource) begin() (err error) {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if s.open, err = s.t.openCoverage(s.ctx, s.group.files[s.next]); err != nil {
		return err
	}
	s.next++
	if s.src, err = s.open.source(s.root); err != nil {
		return s.open.wrong(err)
	}
	return nil
}

func (s *groupSource) close() {
	if s.open != nil {
		s.open.close()
	}
	s.open, s.src = nil, nil
}
