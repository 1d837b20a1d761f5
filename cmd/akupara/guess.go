package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/akupara/akupara/cmd/akupara/internal/discover"
	"github.com/akupara/akupara/cmd/akupara/internal/trial"
	"github.com/akupara/akupara/demux/parse"
)

// noText is the error of a file whose format is not guessed, as it is no text.
type noText struct{ name, reason string }

func (e noText) Error() string { return fmt.Sprintf("%s is no text: %s", e.name, e.reason) }

// guessFile guesses the format of a file, and gives what it is called.
func (a *app) guessFile(file string) ([]parse.Guess, string, error) {
	in, name, err := a.openText(file)
	if err != nil {
		return nil, "", err
	}
	defer in.Close()
	text := make([]byte, 4*parse.GuessBytes)
	n, err := io.ReadFull(in, text)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, "", fmt.Errorf("read %s: %w", name, err)
	}
	if reason := discover.NotText(text[:min(n, parse.GuessBytes)]); reason != "" {
		return nil, "", noText{name, reason}
	}
	guesses := parse.NewGuesser().Guess(text[:n], n == len(text))
	if len(guesses) == 0 {
		return nil, "", fmt.Errorf("%s has no lines to guess a format by", name)
	}
	return guesses, name, nil
}

// guess prints the config for a file whose format is guessed.
func (a *app) guess(file string) error {
	guesses, name, err := a.guessFile(file)
	if errors.As(err, new(noText)) {
		return fmt.Errorf("%w; --parser reads it all the same", err)
	}
	if err != nil {
		return err
	}
	var b bytes.Buffer
	best := guesses[0]
	fmt.Fprintf(&b, "# %s: %s\n", oneLine(name), told(best))
	if len(best.Columns) > 0 {
		fmt.Fprintf(&b, "# with the columns %s\n", oneLine(few(best.Columns)))
	}
	for _, g := range guesses[1:] {
		if g.Parser != "raw" {
			fmt.Fprintf(&b, "# else: %s\n", told(g))
		}
	}
	if file != "-" {
		fmt.Fprintf(&b, "# its rows: akupara parse --parser %s %s\n", shellQuote(best.Spec), shellQuote(oneLine(name)))
	}
	path, dataType := "/path/to/app.log", "app"
	if file != "-" {
		path, dataType = discover.Base(name), cmp.Or(typeName(name), dataType)
	}
	fmt.Fprintf(&b, "agent:\n  adaptors:\n    - name: %s\n      kind: tail\n      type: %s\n      paths: ['%s']\n",
		dataType, dataType, strings.ReplaceAll(discover.Glob(path), "'", "''"))
	if best.Start != "" {
		fmt.Fprintf(&b, "      record_start: '%s'\n", strings.ReplaceAll(best.Start, "'", "''"))
	}
	fmt.Fprintf(&b, "demux:\n  types:\n    %s: %s\n", dataType, best.Spec)
	if _, err := a.stdout.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	return nil
}

// shellQuote writes an argument as the shell takes it, without quotes where it can.
func shellQuote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("-_./:@%+,=", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// told says what a guess is founded on.
func told(g parse.Guess) string {
	if g.Parser == "raw" {
		return "raw: no parser reads enough of it"
	}
	return fmt.Sprintf("%s, which reads %d of its first %d records%s", g.Parser, g.Parsed, g.Records,
		share(trial.Counts{Rows: int64(g.Records), Failed: int64(g.Records - g.Parsed)}))
}

// guessType gives an entry of flags for a tail the type that its files have, and what
// that one's records start with, where the flags say neither. It refuses files none of
// which is text.
func (k *asked) guessType(e *entryFlags, paths []string) error {
	said := func(key string) bool {
		return slices.ContainsFunc(e.set, func(s string) bool { return strings.HasPrefix(s, key) })
	}
	if e.dataType != "" || e.kind != "tail" || said("type=") {
		return nil
	}
	var refused error
	for _, pattern := range paths {
		files, _ := doublestar.FilepathGlob(pattern, doublestar.WithFilesOnly()) // the agent says what is wrong with a pattern
		for _, file := range files[:min(len(files), mostGuessed)] {
			guesses, name, err := k.app.guessFile(file)
			if err != nil {
				if errors.As(err, new(noText)) && !said("encoding=") {
					refused = cmp.Or(refused, err)
				}
				continue
			}
			best := guesses[0]
			if e.dataType = best.Parser; best.Start != "" && !said("record_") {
				e.set = append(e.set, "record_start="+best.Start)
			}
			k.say("type %s, by the first lines of %s", oneLine(told(best)), oneLine(name))
			return nil
		}
	}
	if refused != nil {
		return fmt.Errorf("%w; --type takes it all the same", refused)
	}
	return nil
}

// mostGuessed bounds the files of a pattern that are looked at.
const mostGuessed = 20

func oneLine(s string) string { return strings.Map(func(r rune) rune { return max(r, ' ') }, s) }

var (
	notInType = regexp.MustCompile(`[^a-z0-9_-]+`)
	endings   = regexp.MustCompile(`(\.(log|txt|json|jsonl|csv|tsv|gz|zst|out))+$`)
)

// typeName makes a data type's name of a file's; "" where nothing is left of it.
func typeName(file string) string {
	base := endings.ReplaceAllString(strings.ToLower(filepath.Base(discover.Base(file))), "")
	name := strings.Trim(notInType.ReplaceAllString(base, "-"), "_-")
	return name[:min(len(name), 64)]
}
