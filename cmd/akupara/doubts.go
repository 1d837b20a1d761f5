package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/akupara/akupara/cmd/akupara/internal/discover"
	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/demux/parse"
)

// A type's files are looked at again once so many of its records could not be parsed,
// and such a part of those that came meanwhile: one file of many may have changed.
const (
	doubtFailed = 100
	doubtShare  = 0.01
	// sureRecords is how many records must be of another format, nearly all of them.
	sureRecords = 20
	sureShare   = 0.95
)

// doubts notices when files hold another format than the one that was guessed for
// them: once for each file and format, as one that changes to and fro has none.
type doubts struct {
	last    string // the newest report that was seen
	counts  map[string]*counts
	seen    map[string]bool // changes that were made
	guesser *parse.Guesser
}

// counts are those of a type since its files were looked at.
type counts struct{ records, failed int64 }

// change is that of files that hold another format by now.
type change struct {
	to   discover.Source
	was  string
	path string
	counts
}

func (c *change) key() string { return c.to.Glob + "\x00" + c.to.Type }

func newDoubts() *doubts {
	return &doubts{counts: map[string]*counts{}, seen: map[string]bool{}, guesser: parse.NewGuesser()}
}

// add counts what runs have done since the last call; the newest report is first. No
// parser read the records of raw.
func (d *doubts) add(reports []demux.Report) {
	newest := d.last
	for i, r := range reports {
		if r.ID != "" && r.ID == d.last {
			break
		}
		if i == 0 {
			newest = r.ID
		}
		c := d.counts[r.Type]
		if c == nil {
			c = &counts{}
			d.counts[r.Type] = c
		}
		c.records += r.Records
		if c.failed += r.ParseErrors; r.Type == rawType {
			c.failed = c.records
		}
	}
	d.last = newest
}

const rawType = "raw"

// changes looks at the files of types that fail, and returns which of them hold
// something else.
func (d *doubts) changes(known map[string]discover.Source) (out []change) {
	for dataType, c := range d.counts {
		if c.failed < doubtFailed || float64(c.failed) < doubtShare*float64(c.records) {
			continue
		}
		for _, s := range known {
			if s.Type != dataType {
				continue
			}
			if x := d.look(s, *c); x != nil && !d.seen[x.key()] {
				out = append(out, *x)
			}
		}
		*c = counts{}
	}
	slices.SortFunc(out, func(a, b change) int { return strings.Compare(a.to.Glob, b.to.Glob) })
	return out
}

// done says that a change was made.
func (d *doubts) done(c change) { d.seen[c.key()] = true }

// look returns what the end of a file holds; nil where that is what it should be, or not
// known for sure.
func (d *doubts) look(s discover.Source, c counts) *change {
	path := discover.Plain(s.Glob)
	if _, err := os.Stat(path); err != nil {
		if rotated, _ := doublestar.FilepathGlob(s.Glob, doublestar.WithFilesOnly()); len(rotated) > 0 {
			path = rotated[len(rotated)-1]
		}
	}
	text, err := ending(path)
	if err != nil {
		return nil // it is gone
	}
	guesses := d.guesser.Guess(text, true)
	if len(guesses) == 0 {
		return nil
	}
	best := guesses[0]
	if best.Parser == s.Type || best.Parser == rawType || best.Loose() || best.Records < sureRecords || float64(best.Parsed) < sureShare*float64(best.Records) {
		return nil
	}
	to := discover.Source{Glob: s.Glob, Type: best.Parser, Alone: true}
	if best.Start != parse.StartOf(best.Parser) {
		to.Start = best.Start
	}
	return &change{to: to, was: s.Type, path: path, counts: c}
}

// tell says what was changed.
func (c *change) tell(w io.Writer) {
	why := fmt.Sprintf("Of the last %d records of the type %s, %d could not be parsed. ", c.records, c.was, c.failed)
	if c.was == rawType {
		why = ""
	}
	fmt.Fprintf(w, "\n%s%s looks like %s by now:\nwhat comes of it from here on has the type %s. The rows so far stay in the table %s.\n",
		why, oneLine(c.path), c.to.Type, c.to.Type, c.was)
}

// ending returns the last whole lines of a file.
func ending(path string) ([]byte, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	from := max(info.Size()-parse.GuessBytes, 0)
	text := make([]byte, info.Size()-from)
	n, err := f.ReadAt(text, from)
	if n < len(text) {
		return nil, err
	}
	if from > 0 {
		_, rest, _ := strings.Cut(string(text), "\n")
		text = []byte(rest)
	}
	return text, nil
}
