package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/akupara/akupara/agentd/client"
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
	if err := disk.Publish(disk.Local{}, name, bytes.NewReader(embedded.Config(l.dir, l.port, l.host, asRoot(), found)), 0o644); err != nil {
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
	opts.Known = embedded.Known(old)
	found, err := discover.Find(opts)
	if err != nil {
		return found, err
	}
	if asRoot() {
		if err := makeToken(filepath.Join(l.dir, embedded.TokenName)); err != nil {
			return found, err
		}
	}
	return found, l.write(found)
}

// asRoot reports whether this process reads what others on this machine may not:
// then it serves nobody who can't read its token either.
func asRoot() bool { return os.Geteuid() == 0 }

// makeToken makes a token that its owner alone can read, unless there is one.
func makeToken(name string) error {
	if info, err := os.Stat(name); err == nil && info.Size() > 0 {
		return os.Chmod(name, 0o600)
	}
	if err := disk.Publish(disk.Local{}, name, strings.NewReader(rand.Text()+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the token: %w", err)
	}
	return nil
}

// more looks for log files that are new, and adds them to the config: what was
// in it stays, so that nothing that is being read is let go.
func (l *logFiles) more() ([]discover.Source, error) {
	old, ours, err := l.read()
	if err != nil || !ours || old == nil {
		return nil, err // somebody took it over, or away
	}
	opts := l.opts
	opts.Known, opts.OnlyNew = embedded.Known(old), true
	found, err := discover.Find(opts)
	if err != nil || len(found.Sources) == 0 {
		return nil, err
	}
	all := opts.Known
	for _, s := range found.Sources {
		all[s.Glob] = s
	}
	return found.Sources, l.writeAll(all)
}

func (l *logFiles) writeAll(all map[string]discover.Source) error {
	sources := slices.SortedFunc(maps.Values(all), func(a, b discover.Source) int { return cmp.Compare(a.Glob, b.Glob) })
	return l.write(discover.Result{Sources: sources})
}

// running is the agent that reads the files.
type running interface {
	// reload has it take the config anew.
	reload(ctx context.Context) error
	// adaptor returns what one of its adaptors does.
	adaptor(ctx context.Context, name string) (client.Adaptor, error)
}

// retype lets the files of a glob go on as another type. First they get an adaptor of
// their own, which has the type that they had: their streams follow. Its type is
// changed once it reads all of them; then the agent sees to it that nothing is in both
// types' tables. Where this ends midway, the files have the type they had.
func (l *logFiles) retype(ctx context.Context, agent running, to discover.Source) error {
	all, err := l.known()
	if err != nil || all == nil {
		return err
	}
	was, there := all[to.Glob]
	if !there {
		return nil
	}
	if !was.Alone {
		was.Alone = true
		all[to.Glob] = was
		if err := l.writeAll(all); err != nil {
			return err
		}
	}
	if err := agent.reload(ctx); err != nil {
		return err
	}
	if err := readAlone(ctx, agent, to.Glob); err != nil {
		return err
	}
	if all, err = l.known(); err != nil || all == nil {
		return err
	}
	all[to.Glob] = to
	if err := l.writeAll(all); err != nil {
		return err
	}
	return agent.reload(ctx)
}

// known is what the config says that is there; nil where it is the user's own.
func (l *logFiles) known() (map[string]discover.Source, error) {
	old, ours, err := l.read()
	if err != nil || !ours || old == nil {
		return nil, err
	}
	return embedded.Known(old), nil
}

// aloneWait bounds how long an adaptor may take until it reads the files that another
// one has let go of.
const aloneWait = time.Minute

// readAlone waits until the adaptor of a glob reads all of its files.
func readAlone(ctx context.Context, agent running, glob string) error {
	name := embedded.AloneName(glob)
	ctx, cancel := context.WithTimeout(ctx, aloneWait)
	defer cancel()
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for {
		a, err := agent.adaptor(ctx, name)
		if err != nil {
			return err
		}
		files, err := doublestar.FilepathGlob(glob, doublestar.WithFilesOnly())
		if err != nil {
			return fmt.Errorf("look for the files of %s: %w", glob, err)
		}
		if readsAll(&a, files) {
			return nil
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("the adaptor %s does not read all files of %s: %w", name, glob, ctx.Err())
		}
	}
}

// readsAll reports whether an adaptor reads these files, but for those that nobody
// reads.
func readsAll(a *client.Adaptor, files []string) bool {
	if a.State != "running" {
		return false
	}
	for _, file := range files {
		if !slices.ContainsFunc(a.Position, func(p client.Position) bool { return p.Path == file && p.Stream != "" }) &&
			!slices.ContainsFunc(a.Skipped, func(s client.Skipped) bool { return s.Path == file && !strings.HasPrefix(s.Reason, "adaptor ") }) {
			return false
		}
	}
	return len(files) > 0
}

// mostReports bounds the runs between two looks that count.
const mostReports = 100

// lookOn looks for new log files at an interval, until ctx is done.
//
// What runs have done, newest gives: files whose format is another one by now get its
// type.
func (l *logFiles) lookOn(ctx context.Context, every time.Duration, w io.Writer, log *slog.Logger, newest func(limit int) []demux.Report, agent running) error {
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
		if known, err := l.known(); err == nil && known != nil {
			doubts.add(newest(mostReports))
			for _, c := range doubts.changes(known) {
				if err := l.retype(ctx, agent, c.to); err != nil {
					log.Warn("files of another format have the type they had; it is tried again when more of their records fail",
						"error", err, "files", c.to.Glob, "type", c.was, "looks_like", c.to.Type)
					continue
				}
				doubts.done(c)
				c.tell(w)
			}
		}
		if pending {
			if err := agent.reload(ctx); err != nil {
				log.Warn("new log files are not collected yet; it is tried again", "error", err, "after", every)
				continue
			}
			pending = false
		}
	}
}
