package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/akupara/akupara/cmd/akupara/internal/discover"
	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/demux/parse"
)

// A type's files are looked at again once so many of its records could not be parsed,
// and so large a part of those that came meanwhile.
const (
	doubtFailed = 100
	doubtShare  = 0.2
	// sureRecords is how many records must be of another format, nearly all of them.
	sureRecords = 20
	sureShare   = 0.95
)

// doubts notices when files hold another format than the one that was guessed for
// them. It tells so, once for each file and format, and changes nothing: a file that
// got another type would be read again from its beginning, into a second table.
type doubts struct {
	last    string // the newest report that was seen
	counts  map[string]*counts
	told    map[string]bool
	guesser *parse.Guesser
}

// counts are those of a type since its files were looked at.
type counts struct{ records, failed int64 }

func newDoubts() *doubts {
	return &doubts{counts: map[string]*counts{}, told: map[string]bool{}, guesser: parse.NewGuesser()}
}

// add counts what runs have done since the last call; the newest report is first.
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
		c.failed += r.ParseErrors
	}
	d.last = newest
}

// tell looks at the files of types that fail, and says which of them hold something
// else. known are the types of globs.
func (d *doubts) tell(w io.Writer, known map[string]string) {
	for dataType, c := range d.counts {
		if c.failed < doubtFailed || float64(c.failed) < doubtShare*float64(c.records) {
			continue
		}
		for glob, of := range known {
			if of == dataType {
				d.look(w, glob, dataType, *c)
			}
		}
		*c = counts{}
	}
}

func (d *doubts) look(w io.Writer, glob, dataType string, c counts) {
	path := discover.Plain(glob)
	if _, err := os.Stat(path); err != nil {
		if rotated, _ := doublestar.FilepathGlob(glob, doublestar.WithFilesOnly()); len(rotated) > 0 {
			path = rotated[len(rotated)-1]
		}
	}
	text, err := ending(path)
	if err != nil {
		return // it is gone
	}
	guesses := d.guesser.Guess(text, true)
	if len(guesses) == 0 {
		return
	}
	best := guesses[0]
	sure := best.Records >= sureRecords && float64(best.Parsed) >= sureShare*float64(best.Records)
	if best.Parser == dataType || best.Parser == "raw" || !sure || d.told[path+"\x00"+best.Parser] {
		return
	}
	d.told[path+"\x00"+best.Parser] = true
	fmt.Fprintf(w, "\nOf the last %d records of the type %s, %d could not be parsed. %s looks like %s by now.\n"+
		"It keeps its type, as it would be read again otherwise; \"akupara parse %s\" shows what to put into\na config of your own.\n",
		c.records, dataType, c.failed, oneLine(path), best.Parser, oneLine(path))
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
