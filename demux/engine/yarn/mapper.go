package yarn

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"time"

	"github.com/akupara/akupara/demux/engine"
	"github.com/akupara/akupara/store"
)

// Mapper is an attempt: what Hadoop starts on a node, once or more for a task.
type Mapper struct {
	// Open opens the store at a URI.
	Open func(uri string) (store.FS, error)
	// Doers makes the kinds of tasks, on a store.
	Doers func(st store.FS, uri string) map[string]engine.Doer
	In    io.Reader // lines, of which each is a task
	Err   io.Writer // Hadoop's: status and counters, and what people read
}

const (
	maxJob = 256 << 20
	// beat is how often Hadoop is told that a task goes on; it ends those that have
	// been silent for ten minutes.
	beat = 30 * time.Second
	// discardLimit bounds the removal of what an attempt made for nothing.
	discardLimit = 30 * time.Second
)

// Run does the tasks of its input. jobFile is a local copy of the work's job.json.
func (m Mapper) Run(ctx context.Context, jobFile string) error {
	data, err := readLocal(jobFile)
	if err != nil {
		return err
	}
	var j job
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("read %s: it is no job's: %w", jobFile, err)
	}
	st, err := m.Open(j.Store)
	if err != nil {
		return err
	}
	doer := m.Doers(st, j.Store)[j.Kind]
	if doer == nil {
		return fmt.Errorf("nobody does tasks of kind %q: this program is older than the one that planned them", j.Kind)
	}
	in := bufio.NewReaderSize(m.In, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			if err := m.one(ctx, st, j, doer, bytes.TrimSpace(line)); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read tasks: %w", err)
		}
	}
}

func readLocal(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read job: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxJob+1))
	if err == nil && len(data) > maxJob {
		err = fmt.Errorf("it has more than %d bytes", maxJob)
	}
	if err != nil {
		return nil, fmt.Errorf("read job %s: %w", name, err)
	}
	return data, nil
}

// one does a task and claims its result, unless another attempt was faster.
func (m Mapper) one(ctx context.Context, st store.FS, j job, doer engine.Doer, line []byte) error {
	number, task, ok := bytes.Cut(line, []byte{'\t'})
	n, err := strconv.Atoi(string(number))
	if err != nil || !ok || n < 0 {
		return fmt.Errorf("a task's line starts with %.40q, want its number and a tab", line)
	}
	alive, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		for t := time.NewTicker(beat); ; {
			select {
			case <-t.C:
				fmt.Fprintf(m.Err, "reporter:status:task %d\n", n)
			case <-alive.Done():
				t.Stop()
				return
			}
		}
	}()
	if done, err := exists(ctx, st, resultPath(j.Dir, n)); err != nil || done {
		return err
	}
	result, err := doer.Do(ctx, j.Shared, task)
	if err != nil {
		return fmt.Errorf("task %d: %w", n, err)
	}
	ours, err := claim(ctx, st, j.Dir, n, result)
	if !ours {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardLimit)
		defer cancel()
		doer.Discard(ctx, result)
	}
	if err == nil && ours {
		fmt.Fprintln(m.Err, "reporter:counter:akupara,tasks,1")
	}
	return err
}

// claim makes a result that of task n, and reports whether it is: not when another
// attempt was faster, or the planner is gone. Where it fails, the result is not the
// task's.
func claim(ctx context.Context, st store.FS, dir string, n int, result []byte) (ours bool, err error) {
	if wanted, err := exists(ctx, st, path.Join(dir, tasksFile)); err != nil || !wanted {
		return false, err
	}
	tmp := path.Join(dir, resultsDir, tempPrefix+store.NewID())
	file := path.Join(tmp, resultFile)
	if err := store.PublishBytes(ctx, st, store.Temp(file, "1"), file, result); err != nil {
		return false, errors.Join(err, st.Remove(context.WithoutCancel(ctx), tmp))
	}
	err = st.Rename(ctx, tmp, path.Join(dir, resultsDir, strconv.Itoa(n)))
	if err == nil {
		return true, nil
	}
	// Once the source is gone, the rename can't happen any more: what is there then
	// is final.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardLimit)
	defer cancel()
	if cause := st.Remove(ctx, tmp); cause != nil {
		return true, fmt.Errorf("claim task %d: %w, then %w", n, err, cause) // perhaps ours: its files stay
	}
	got, cause := readFile(ctx, st, resultPath(dir, n), maxResult)
	switch {
	case cause == nil:
		return bytes.Equal(got, result), nil
	case errors.Is(cause, fs.ErrNotExist):
		return false, fmt.Errorf("claim task %d: %w", n, err)
	}
	return true, fmt.Errorf("claim task %d: %w, then %w", n, err, cause)
}

func exists(ctx context.Context, st store.FS, p string) (bool, error) {
	_, err := st.Stat(ctx, p)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
