package yarn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/akupara/akupara/demux/engine"
)

const (
	streaming   = "org.apache.hadoop.streaming.HadoopStreaming"
	application = "org.apache.hadoop.yarn.client.cli.ApplicationCLI"
)

// tag is the job's in YARN: by it a process finds another one's job. YARN keeps tags
// in small letters, and 100 of them.
func tag(work string) string {
	const most = 100 - len("akupara-")
	return "akupara-" + work[max(0, len(work)-most):]
}

// arguments are those of the streaming client.
func (e *Engine) arguments(dir, program string, w *engine.Work) []string {
	base := strings.TrimSuffix(e.BaseURI, "/") + "/"
	props := []string{
		"mapreduce.job.name=" + tag(w.Name),
		"mapreduce.job.tags=" + tag(w.Name),
		"mapreduce.job.reduces=0",
		"mapreduce.input.lineinputformat.linespermap=1",
		"stream.map.input.ignoreKey=true",
		// The JVM only hands a line on to the mapper.
		"mapreduce.map.java.opts=-Xmx256m",
		fmt.Sprintf("mapreduce.map.memory.mb=%d", int64(e.Memory)>>20),
		fmt.Sprintf("mapreduce.map.cpu.vcores=%d", e.Cores),
	}
	if e.Queue != "" {
		props = append(props, "mapreduce.job.queuename="+e.Queue)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Options)) {
		props = append(props, name+"="+e.Options[name]) // of two, the last one counts
	}
	var args []string
	for _, p := range props {
		args = append(args, "-D", p)
	}
	return append(args,
		"-files", base+program+"#akupara,"+base+path.Join(dir, jobFile)+"#"+jobFile,
		"-inputformat", "org.apache.hadoop.mapred.lib.NLineInputFormat",
		// Nothing is put out, but it wants to know where.
		"-outputformat", "org.apache.hadoop.mapred.lib.NullOutputFormat", "-output", base+path.Join(dir, "out"),
		"-input", base+path.Join(dir, tasksFile),
		"-mapper", strings.Join(append(append([]string{"./akupara"}, e.Args...), jobFile), " "),
		"-cmdenv", fmt.Sprintf("GOMAXPROCS=%d", e.Cores),
		// Half of the memory is the JVM's that starts the mapper, and room.
		"-cmdenv", fmt.Sprintf("GOMEMLIMIT=%d", int64(e.Memory)/2),
	)
}

// submit runs Hadoop's client until the job has ended. Where ctx ends first, the job
// is ended.
func (e *Engine) submit(ctx context.Context, dir, program string, w *engine.Work, done func(n int)) error {
	watch, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { e.watch(watch, dir, len(w.Tasks), done) })
	out, err := e.java(ctx, streaming, e.arguments(dir, program, w)...)
	stop()
	watching.Wait()
	if ctx.Err() == nil {
		if err != nil {
			return fmt.Errorf("job %s: %w%s", tag(w.Name), err, lines(out))
		}
		return nil
	}
	kctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyLimit)
	defer cancel()
	if err := e.kill(kctx, w.Name); err != nil {
		e.Log.Warn("a job could not be ended; it does no harm", "type", w.Type, "job", tag(w.Name), "error", err)
	}
	return ctx.Err()
}

// watch tells how many tasks are done, as it changes.
func (e *Engine) watch(ctx context.Context, dir string, of int, done func(n int)) {
	for last := 0; ; {
		if n, err := e.count(ctx, dir); err == nil && n > last {
			last = n
			done(min(n, of))
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return
		}
	}
}

var applicationRE = regexp.MustCompile(`\bapplication_[0-9]+_[0-9]+\b`)

// kill ends the jobs of some work that have not ended.
func (e *Engine) kill(ctx context.Context, work string) error {
	out, err := e.java(ctx, application, "application", "-list", "-appTags", tag(work), "-appStates", "NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING")
	if err != nil {
		return fmt.Errorf("look for job %s: %w%s", tag(work), err, lines(out))
	}
	ids := applicationRE.FindAllString(out, -1)
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if out, err := e.java(ctx, application, "application", "-kill", id); err != nil {
			return fmt.Errorf("end job %s: %w%s", id, err, lines(out))
		}
	}
	return nil
}

// java runs a Hadoop client, which ends with ctx, and returns the end of what it said.
func (e *Engine) java(ctx context.Context, class string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, e.Java, append([]string{"-Xmx512m", "-cp", strings.Join(e.Classpath, ":"), class}, args...)...)
	// A client whose demux was killed would wait for its job alone. The signal comes
	// when the thread ends that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		err = fmt.Errorf("%w: demux.yarn.java says where Java is", err)
	}
	return out.String(), err
}

// tail keeps the end of what is written.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const maxTail = 64 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	if n := len(t.b) - maxTail; n > maxTail {
		t.b = slices.Delete(t.b, 0, n)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.ToValidUTF8(t.b, []byte("?")))
}

// lines are the last ones that a client said, of those that are about a fault where
// there are any.
func lines(out string) string {
	all := strings.Split(strings.TrimSpace(out), "\n")
	var bad []string
	for _, l := range all {
		if strings.Contains(l, "ERROR") || strings.Contains(l, "Exception") || strings.Contains(l, "Error:") || strings.Contains(l, "FAILED") {
			bad = append(bad, strings.TrimSpace(l))
		}
	}
	if len(bad) == 0 {
		bad = all
	}
	text := strings.Join(bad[max(0, len(bad)-5):], "; ")
	if text == "" {
		return ""
	}
	const most = 2000
	return ": " + text[max(0, len(text)-most):]
}
