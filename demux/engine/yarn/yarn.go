// Package yarn runs tasks as a job of Hadoop MapReduce: a streaming job without a
// reducer, of which each line of input is a task and this very program the mapper.
// What came of it is told by the results in the store, never by what a client or the
// ResourceManager says of the job.
package yarn

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/akupara/akupara/demux/engine"
	"github.com/akupara/akupara/store"
)

// Engine submits work to YARN. It implements engine.Engine.
type Engine struct {
	Config
	FS      store.FS
	BaseURI string // the store's root, as Hadoop names it
	Log     *slog.Logger
	// Program is the binary that does tasks, called with Args and the path of a job
	// file: see Mapper. Empty: this process's own.
	Program string
	Args    []string

	patience  time.Duration // 0: the constant's
	published sync.Mutex
	program   string // in the store, once it is there
}

const (
	// poll is how often the results are counted.
	poll = time.Second
	// tidyLimit bounds what is done when work has ended, however it did.
	tidyLimit = time.Minute
)

// Run implements engine.Engine.
func (e *Engine) Run(ctx context.Context, w engine.Work, tell func(engine.Progress)) ([]json.RawMessage, error) {
	if err := w.Check(); err != nil {
		return nil, err
	}
	if len(w.Tasks) == 0 {
		return nil, nil
	}
	if strings.Contains(e.BaseURI, ",") {
		return nil, fmt.Errorf("the store %s names several NameNodes, which Hadoop's clients don't understand; want the name of a nameservice of Hadoop's configuration", e.BaseURI)
	}
	if err := e.clear(ctx, w.Type, w.Kind); err != nil {
		return nil, err
	}
	program, err := e.publish(ctx)
	if err != nil {
		return nil, err
	}
	dir := dirOf(w.Type, w.Name)
	over := true
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyLimit)
		defer cancel()
		if over {
			_ = e.FS.Remove(ctx, dir) // what is left the next work of its kind removes
		} else {
			_ = e.giveUp(ctx, dir)
		}
	}()
	if err := e.describe(ctx, dir, &w); err != nil {
		return nil, err
	}
	over, failed := e.submit(ctx, dir, program, &w, tell)
	// Whatever became of the job, what its attempts have claimed counts.
	rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyLimit)
	defer cancel()
	results, missing, err := e.results(rctx, dir, len(w.Tasks))
	switch {
	case err != nil:
		return results, err
	case ctx.Err() != nil:
		return results, context.Cause(ctx)
	case missing == 0:
		return results, nil
	case failed == nil:
		failed = errors.New("the job ended as if they had")
	}
	return results, fmt.Errorf("%d of %d tasks of %s have no result: %w", missing, len(w.Tasks), w.Name, failed)
}

// giveUp makes sure that no attempt claims a result of some work any more.
func (e *Engine) giveUp(ctx context.Context, dir string) error {
	if err := e.FS.Remove(ctx, path.Join(dir, tasksFile)); err != nil {
		return fmt.Errorf("give up work that was left: %w", err)
	}
	return nil
}

// clear ends and removes what is left of earlier work of a kind and data type: who
// runs work of a kind is the only one, by a lease, so its planner is dead.
func (e *Engine) clear(ctx context.Context, dataType, kind string) error {
	left, err := e.FS.List(ctx, path.Join(top, dataType))
	if err != nil {
		return fmt.Errorf("look for work that was left: %w", err)
	}
	for _, d := range left {
		name := path.Base(d.Path)
		if !d.IsDir || !strings.HasPrefix(name, kind+"-") {
			continue
		}
		if err := e.giveUp(ctx, d.Path); err != nil {
			return err
		}
		e.Log.Info("work that another process had planned is given up; it is planned anew", "type", dataType, "work", name)
		if err := e.kill(ctx, name, ""); err != nil {
			e.Log.Warn("a job that nobody waits for could not be ended; it does no harm, and is ended before the next one", "type", dataType, "job", name, "error", err)
			continue
		}
		if err := e.FS.Remove(ctx, d.Path); err != nil {
			return fmt.Errorf("remove work that was left: %w", err)
		}
	}
	return nil
}

// publish puts the program that does tasks into the store, once for each version
// of it, and returns where it is.
func (e *Engine) publish(ctx context.Context) (string, error) {
	e.published.Lock()
	defer e.published.Unlock()
	if e.program != "" {
		if there, err := exists(ctx, e.FS, e.program); err != nil || there {
			return e.program, err
		}
	}
	name := e.Program
	if name == "" {
		name = "/proc/self/exe" // the very program that runs, whatever lies in its place by now
	}
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("open the program that does tasks: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	if err != nil {
		return "", fmt.Errorf("read the program that does tasks: %w", err)
	}
	p := path.Join(top, "bin", hex.EncodeToString(sum.Sum(nil)))
	if info, err := e.FS.Stat(ctx, p); err == nil && info.Size == size {
		e.program = p
		return p, nil
	}
	err = store.Publish(ctx, e.FS, store.Temp(p, store.NewID()), p, func(to io.Writer) error {
		_, err := io.Copy(to, io.NewSectionReader(f, 0, size))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("publish the program that does tasks: %w", err)
	}
	e.program = p
	e.removeOld(ctx)
	return p, nil
}

// programLife is for how long a program stays in the store when another version has
// come. Who still needs it then puts it there again.
const programLife = 7 * 24 * time.Hour

// removeOld removes programs of other versions.
func (e *Engine) removeOld(ctx context.Context) {
	there, err := e.FS.List(ctx, path.Dir(e.program))
	for _, f := range there {
		if f.Path != e.program && time.Since(f.Mod) > programLife {
			err = errors.Join(err, e.FS.Remove(ctx, f.Path))
		}
	}
	if err != nil {
		e.Log.Debug("old versions of the program that does tasks stay in the store", "error", err)
	}
}

// describe writes the work's tasks, and what they share.
func (e *Engine) describe(ctx context.Context, dir string, w *engine.Work) error {
	shared, err := json.Marshal(job{Store: e.BaseURI, Dir: dir, Kind: w.Kind, Shared: w.Shared})
	if err != nil {
		return fmt.Errorf("describe work %s: %w", w.Name, err)
	}
	p := path.Join(dir, jobFile)
	if err := store.PublishBytes(ctx, e.FS, store.Temp(p, "1"), p, shared); err != nil {
		return err
	}
	p = path.Join(dir, tasksFile)
	return store.Publish(ctx, e.FS, store.Temp(p, "1"), p, func(to io.Writer) error {
		var line bytes.Buffer
		for i, t := range w.Tasks {
			line.Reset()
			line.WriteString(strconv.Itoa(i))
			line.WriteByte('\t')
			if err := json.Compact(&line, t); err != nil {
				return fmt.Errorf("describe task %d of %s: %w", i, w.Name, err)
			}
			line.WriteByte('\n')
			if _, err := to.Write(line.Bytes()); err != nil {
				return err
			}
		}
		return nil
	})
}

// results reads the results that there are; missing says of how many tasks there is
// none.
func (e *Engine) results(ctx context.Context, dir string, n int) (results []json.RawMessage, missing int, err error) {
	results = make([]json.RawMessage, n)
	there, err := e.FS.List(ctx, path.Join(dir, resultsDir))
	if err != nil {
		return results, n, fmt.Errorf("list results: %w", err)
	}
	missing = n
	for _, d := range there {
		i, err := strconv.Atoi(path.Base(d.Path))
		if err != nil || i < 0 || i >= n {
			continue
		}
		if results[i], err = readFile(ctx, e.FS, resultPath(dir, i), maxResult); err != nil {
			return results, missing, err
		}
		missing--
	}
	return results, missing, nil
}

// count returns how many tasks have a result.
func (e *Engine) count(ctx context.Context, dir string) (n int, err error) {
	there, err := e.FS.List(ctx, path.Join(dir, resultsDir))
	for _, d := range there {
		if _, err := strconv.Atoi(path.Base(d.Path)); err == nil {
			n++
		}
	}
	return n, err
}
