// Package discover finds the log files of this host that "akupara up"
// collects, and gives each a type by a look at its first lines.
package discover

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/akupara/akupara/demux/parse"
)

// Options of a search.
type Options struct {
	Root string // absolute: /var/log
	// Exclude are folders, absolute, that are not looked into: our own data.
	Exclude []string
	// Own are open files that we write to ourselves, standard error redirected
	// to a log file, say.
	Own []*os.File
	// Known are what an earlier search gave, by their globs: a file keeps its type,
	// whatever it starts with now.
	Known map[string]Source
	// OnlyNew leaves the files of Known globs out of the result, and does not
	// look into them.
	OnlyNew bool
}

// Source is one log file with all that it becomes by rotation.
type Source struct {
	Glob string // matches the file and its rotated names
	Type string // the name of its parser: one of parse.Guessed
	// Start matches the first line of a record, where it is not what the others of the
	// type have.
	Start string
	// Alone says that an adaptor reads it alone.
	Alone bool
}

// Skipped is something that is not collected.
type Skipped struct{ Path, Reason string }

// Result of a search, sorted by path.
type Result struct {
	Sources []Source
	Skipped []Skipped
}

// Bounds of a search.
const (
	maxFiles = 20_000
	maxDepth = 10
)

// Find searches the folder. What can't be read is in Skipped; the error is
// only about the root itself. A missing root has no files.
func Find(o Options) (Result, error) {
	f := finder{opts: o, groups: map[string]*group{}, guesser: parse.NewGuesser()}
	err := filepath.WalkDir(o.Root, f.visit)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Result{}, fmt.Errorf("look for log files in %s: %w", o.Root, err)
	}
	for _, base := range f.bases {
		f.settle(base, f.groups[base])
	}
	slices.SortFunc(f.result.Skipped, func(a, b Skipped) int { return strings.Compare(a.Path, b.Path) })
	return f.result, nil
}

type finder struct {
	opts   Options
	files  int
	bases  []string // in the order found: sorted
	groups map[string]*group
	result Result

	guesser *parse.Guesser
}

// group is a log file's present and rotated names, as far as they are text.
type group struct {
	paths []string // the plain name first where it exists
	found Source   // of the first that is not empty
}

func (f *finder) skip(path, format string, args ...any) {
	f.result.Skipped = append(f.result.Skipped, Skipped{path, fmt.Sprintf(format, args...)})
}

func (f *finder) visit(path string, d fs.DirEntry, err error) error {
	if err != nil {
		if path == f.opts.Root {
			return err
		}
		f.skip(path, "%s", why(err))
		return nil
	}
	if d.IsDir() {
		switch depth := strings.Count(strings.TrimPrefix(path, f.opts.Root), "/"); {
		case slices.Contains(f.opts.Exclude, path):
			return fs.SkipDir // our own: not worth a word
		case d.Name() == "journal" && path != f.opts.Root:
			f.skip(path, "journals of systemd, binary")
			return fs.SkipDir
		case depth > maxDepth:
			f.skip(path, "more than %d folders deep", maxDepth)
			return fs.SkipDir
		}
		return nil
	}
	if f.files++; f.files > maxFiles {
		f.skip(f.opts.Root, "more than %d files: the rest is not looked at", maxFiles)
		return fs.SkipAll
	}
	switch {
	case d.Type()&fs.ModeSymlink != 0:
		f.skip(path, "a link")
	case !d.Type().IsRegular():
		f.skip(path, "not a regular file")
	default:
		if reason := notText(d.Name()); reason != "" {
			f.skip(path, "%s", reason)
			return nil
		}
		f.file(path)
	}
	return nil
}

// file looks at one file's first bytes and puts it into its group.
func (f *finder) file(path string) {
	if f.opts.OnlyNew {
		if _, known := f.opts.Known[Glob(Base(path))]; known {
			return
		}
	}
	head, own, err := f.head(path)
	if err != nil {
		f.skip(path, "%s", why(err))
		return
	}
	if own {
		f.skip(path, "written by akupara itself")
		return
	}
	if reason := NotText(head); reason != "" {
		f.skip(path, "%s", reason)
		return
	}
	base := Base(path)
	g := f.groups[base]
	if g == nil {
		g = &group{}
		f.groups[base] = g
		f.bases = append(f.bases, base)
	}
	// Walking in order gives the plain name before the rotated ones.
	g.paths = append(g.paths, path)
	if g.found.Type == "" {
		g.found = f.guess(head)
	}
}

func (f *finder) head(path string) (head []byte, own bool, err error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		return nil, false, err
	}
	for _, o := range f.opts.Own {
		if mine, err := o.Stat(); err == nil && os.SameFile(mine, info) {
			return nil, true, nil
		}
	}
	head = make([]byte, parse.GuessBytes)
	n, err := io.ReadFull(r, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:n], false, err
}

// guess finds the parser of a text by its first lines; the type is empty where there
// is none.
func (f *finder) guess(head []byte) Source {
	guesses := f.guesser.Guess(head, len(head) >= parse.GuessBytes)
	if len(guesses) == 0 {
		return Source{}
	}
	s := Source{Type: guesses[0].Parser}
	if start := guesses[0].Start; start != parse.StartOf(s.Type) {
		s.Start, s.Alone = start, true
	}
	return s
}

// settle decides on a group's type.
func (f *finder) settle(base string, g *group) {
	glob := Glob(base)
	found := f.opts.Known[glob]
	if !slices.Contains(parse.Guessed(), found.Type) {
		found = g.found
	}
	if found.Type == "" {
		found.Type = parse.ForFile(base)
	}
	if found.Type == "" {
		for _, p := range g.paths {
			f.skip(p, "empty: it is looked at again from time to time")
		}
		return
	}
	found.Glob = glob
	f.result.Sources = append(f.result.Sources, found)
}

// why is the cause alone, without the path that stands beside it.
func why(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "no permission to read it"
	}
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return err.Error()
}
