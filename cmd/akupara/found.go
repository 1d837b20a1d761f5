package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/akupara/akupara/cmd/akupara/internal/discover"
	"github.com/akupara/akupara/cmd/akupara/internal/embedded"
	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/disk"
)

// logFiles are those of this machine that the embedded default collects, and
// the config that names them.
type logFiles struct {
	dir  string // of the data, where the config is
	port int
	host string
	opts discover.Options
}

func newLogFiles(dir string, port int, logs string, own ...io.Writer) (*logFiles, error) {
	root, err := filepath.Abs(logs)
	if err != nil {
		return nil, fmt.Errorf("folder of log files: %w", err)
	}
	host, _ := os.Hostname() // without a name the agent has a default of its own
	l := &logFiles{dir: dir, port: port, host: cmp.Or(host, "localhost"), opts: discover.Options{Root: root, Exclude: []string{dir}}}
	for _, w := range own {
		if f, ok := w.(*os.File); ok {
			l.opts.Own = append(l.opts.Own, f)
		}
	}
	return l, nil
}

// read returns the config that is there; ours says that it may be written anew.
func (l *logFiles) read() (old []byte, ours bool, err error) {
	old, err = os.ReadFile(filepath.Join(l.dir, embedded.ConfigName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read config: %w", err)
	}
	return old, embedded.IsOurs(old), nil
}

func (l *logFiles) write(found discover.Result) error {
	name := filepath.Join(l.dir, embedded.ConfigName)
	if err := disk.Publish(disk.Local{}, name, bytes.NewReader(embedded.Config(l.dir, l.port, l.host, found)), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// first looks for log files and writes the config, unless the one there is the
// user's own.
func (l *logFiles) first() (discover.Result, error) {
	old, ours, err := l.read()
	if err != nil || !ours {
		return discover.Result{}, err
	}
	opts := l.opts
	opts.Known = embedded.KnownTypes(old)
	found, err := discover.Find(opts)
	if err != nil {
		return found, err
	}
	return found, l.write(found)
}

// more looks for log files that are new, and adds them to the config: what was
// in it stays, so that nothing that is being read is let go.
func (l *logFiles) more() ([]discover.Source, error) {
	old, ours, err := l.read()
	if err != nil || !ours || old == nil {
		return nil, err // somebody took it over, or away
	}
	opts := l.opts
	opts.Known, opts.OnlyNew = embedded.KnownTypes(old), true
	found, err := discover.Find(opts)
	if err != nil || len(found.Sources) == 0 {
		return nil, err
	}
	all := slices.Clone(found.Sources)
	for glob, format := range opts.Known {
		all = append(all, discover.Source{Glob: glob, Type: format})
	}
	slices.SortFunc(all, func(a, b discover.Source) int { return cmp.Compare(a.Glob, b.Glob) })
	return found.Sources, l.write(discover.Result{Sources: all})
}

// mostReports bounds the runs between two looks that count.
const mostReports = 100

// lookOn looks for new log files at an interval, until ctx is done. apply has
// the agent take the config that was written.
//
// What runs have done, newest gives: files whose format is another one by now are told.
func (l *logFiles) lookOn(ctx context.Context, every time.Duration, w io.Writer, log *slog.Logger, newest func(limit int) []demux.Report, apply func(context.Context) error) error {
	doubts := newDoubts()
	t := time.NewTicker(every)
	defer t.Stop()
	pending := false // written, and not applied yet
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
		found, err := l.more()
		if err != nil {
			log.Warn("new log files can't be looked for; it is tried again", "error", err, "after", every)
			continue
		}
		if len(found) > 0 {
			pending = true
			fmt.Fprintln(w, "\nNew log files are collected, too:")
			listFound(w, discover.Result{Sources: found})
		}
		if old, ours, err := l.read(); err == nil && ours && old != nil {
			doubts.add(newest(mostReports))
			doubts.tell(w, embedded.KnownTypes(old))
		}
		if pending {
			if err := apply(ctx); err != nil {
				log.Warn("new log files are not collected yet; it is tried again", "error", err, "after", every)
				continue
			}
			pending = false
		}
	}
}
