// Package repair mends a table from what is left of it: its data files, which
// tell what they hold, the metadata and coverage that can still be read, and the
// archived sink files. A survey says what is damaged and what would be done; only
// Apply changes anything, and it deletes nothing.
//
// What a damaged file held comes back in one of three ways. Coverage is made anew
// from the ranges that the data files tell (where older ones don't, from where their
// rows start), with the facts that the archive's indexes have. A whole data file
// that no readable metadata names any more is taken back, where it holds what no
// other does. What is missing then is taken in again: the archived sink files that
// hold it go back to raw/, and the next run of the demux takes of them what the
// table does not have.
package repair

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// Options of a survey.
type Options struct {
	// Deep reads all bytes of the data files, and not their footers alone.
	Deep bool
	// Streams is how many streams are in memory at a time, about; 0 is maxStreams.
	Streams int
	// Progress is told how many of how many files were read; nil: nobody.
	Progress func(done, total int)
}

// Missing is a range that the table held, and nothing holds any more.
type Missing struct {
	Host   string `json:"host"`
	Source string `json:"source"`
	Stream string `json:"stream"`
	First  int64  `json:"first"`
	Last   int64  `json:"last"`
}

// Plan is what a survey found, and what Apply does about it.
type Plan struct {
	Type     string         `json:"type"`
	Damaged  []table.Damage `json:"damaged"`
	Kept     int            `json:"kept"`      // data files that stay
	Records  int64          `json:"records"`   // in them, and in those taken back
	Adopted  []string       `json:"adopted"`   // data files that are taken back
	SetAside []string       `json:"set_aside"` // files that go to _damaged/: damaged ones, and those that can't be taken back
	Redone   []string       `json:"redone"`    // archived sink files that go back to raw/
	Missing  []Missing      `json:"missing"`   // at most MaxMissing
	Lost     int64          `json:"lost"`      // bytes of Missing, all of them
	Unsure   int            `json:"unsure"`    // data files of older versions, which do not tell what they hold

	fs      store.FS
	baseURI string
	base    *table.Table
	content table.Content
}

// MaxMissing bounds the ranges that a plan lists.
const MaxMissing = 1000

// Needed reports whether there is anything to mend.
func (p *Plan) Needed() bool {
	return slices.ContainsFunc(p.Damaged, func(d table.Damage) bool { return d.Needed })
}

// Survey looks at all of a table, and changes nothing. fs.ErrNotExist says that
// there is no table. Nobody should commit to it meanwhile.
func Survey(ctx context.Context, files store.FS, baseURI, dataType string, o Options) (*Plan, error) {
	s := &survey{
		fs: files, opts: o, dataType: dataType, roots: newRoots(cmp.Or(o.Streams, maxStreams)), wanted: map[string]bool{},
		plan: &Plan{Type: dataType, Damaged: []table.Damage{}, Adopted: []string{}, SetAside: []string{}, Redone: []string{}, Missing: []Missing{}, fs: files, baseURI: baseURI},
	}
	if err := s.run(ctx, baseURI); err != nil {
		return nil, fmt.Errorf("survey table %s: %w", dataType, err)
	}
	return s.plan, nil
}

// Steps says in words what Apply will do, in its order.
func (p *Plan) Steps() []string {
	if !p.Needed() {
		return nil
	}
	var out []string
	step := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, f := range p.SetAside {
		step("move %s to %s", f, asideOf(p.Type, f))
	}
	for _, f := range p.Redone {
		step("move %s back to %s: the next run of the demux takes in what the table lacks", f, rawOf(p.Type, f))
	}
	for _, f := range p.Adopted {
		step("take %s back into the table: it is whole, and what it holds is in no other file", f)
	}
	step("publish a new version of the table of %d data files with %d records, and its coverage anew", len(p.content.Files), p.Records)
	return out
}

// Apply does what the plan says. The caller holds the table's lease from before
// the survey on. It can be done again after a crash: from a new survey.
func (p *Plan) Apply(ctx context.Context, done func(step string)) error {
	if !p.Needed() {
		return nil
	}
	move := func(from, to string) error {
		err := p.fs.Rename(ctx, from, to)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it is gone by now
		}
		if err != nil {
			return fmt.Errorf("move %s to %s: %w", from, to, err)
		}
		done(fmt.Sprintf("moved %s to %s", from, to))
		return nil
	}
	for _, f := range p.SetAside {
		if err := move(f, asideOf(p.Type, f)); err != nil {
			return err
		}
	}
	for _, f := range p.Redone {
		if err := move(f, rawOf(p.Type, f)); err != nil {
			return err
		}
	}
	t, err := table.Rebuild(ctx, p.fs, p.baseURI, p.Type, p.base, p.content)
	if err != nil {
		return err
	}
	done(fmt.Sprintf("published version %d of table %s: %d data files, %d records", t.Version(), p.Type, len(p.content.Files), p.Records))
	return nil
}

func tableDir(dataType string) string { return path.Join(store.Tables, dataType) }

// asideOf is where a damaged file goes. Nothing sweeps there.
func asideOf(dataType, p string) string {
	return path.Join(tableDir(dataType), "_damaged", strings.TrimPrefix(p, tableDir(dataType)+"/"))
}

func rawOf(dataType, p string) string { return store.SinkPath(store.Raw, dataType, store.SegmentOf(p)) }

// columnsOf joins the columns of a table and of files, by their ids: what was
// added by a version that is lost comes back with its files. What the table lacks of
// the ids that it gave, up to given, was dropped.
func columnsOf(base []schema.Column, given int, files []found) []schema.Column {
	out := slices.Clone(base)
	taken := map[int]bool{}
	names := map[string]bool{}
	for _, c := range out {
		taken[c.ID], names[schema.Fold(c.Name)] = true, true
	}
	for _, f := range files {
		for _, c := range f.info.Columns {
			if c.ID > given && !taken[c.ID] && !names[schema.Fold(c.Name)] {
				taken[c.ID], names[schema.Fold(c.Name)] = true, true
				out = append(out, c)
			}
		}
	}
	if len(out) == 0 {
		return schema.Plan(nil, nil, 0)
	}
	slices.SortStableFunc(out[len(base):], func(a, b schema.Column) int { return a.ID - b.ID })
	schema.Recognize(out)
	return out
}

// contains reports whether a set has all ranges of another.
func contains(set, of coverage.Set) bool {
	for id, st := range of {
		has := set[id]
		for _, r := range st.Ranges {
			if has == nil || !has.Ranges.Contains(r) {
				return false
			}
		}
	}
	return true
}

// dropped reports whether all of a data file's ranges, of which it has some, are
// counted as held and as dropped: no file of the table has them.
func dropped(known, of coverage.Set) bool {
	for id, st := range of {
		has := known[id]
		for _, r := range st.Ranges {
			if has == nil || !has.Ranges.Contains(r) || !has.Dropped.Contains(r) {
				return false
			}
		}
	}
	return len(of) > 0
}

func overlaps(set, with coverage.Set) bool {
	for id, st := range with {
		has := set[id]
		for _, r := range st.Ranges {
			if has != nil && has.Ranges.Overlaps(r) {
				return true
			}
		}
	}
	return false
}

// addRanges adds the ranges alone of a set to another.
func addRanges(set, more coverage.Set) {
	addWanted(set, more, func(string) bool { return true })
}

// addWanted is addRanges of the streams that are wanted.
func addWanted(set, more coverage.Set, wanted func(id string) bool) {
	for id, st := range more {
		if !wanted(id) {
			continue
		}
		to := set.Stream(id, st.Host, st.Source)
		to.Ranges = to.Ranges.AddAll(st.Ranges)
	}
}

// missing returns the ranges of one set that another does not have.
func missing(of, in coverage.Set) coverage.Set {
	out := coverage.Set{}
	for id, st := range of {
		var left chunk.Ranges
		for _, r := range st.Ranges {
			if has := in[id]; has != nil {
				left = left.AddAll(has.Ranges.Missing(r))
			} else {
				left = left.Add(r)
			}
		}
		if len(left) > 0 {
			out.Stream(id, st.Host, st.Source).Ranges = left
		}
	}
	return out
}
