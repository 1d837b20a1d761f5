package yarn

import (
	"bytes"
	"cmp"
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

// patience is how long a client may take to say that the job has ended, once all
// results are there: a ResourceManager that is away would keep it waiting.
const patience = 10 * time.Second

// submit runs Hadoop's client until the job has ended, or all results are there. It
// fails where the client does, and when ctx ends. over reports whether the job has
// certainly ended then: it is ended where its client did not see that.
func (e *Engine) submit(ctx context.Context, dir, program string, w *engine.Work, tell func(engine.Progress)) (over bool, err error) {
	p := &progress{tell: tell}
	client, stop := context.WithCancel(ctx)
	defer stop()
	var watching sync.WaitGroup
	watching.Go(func() {
		if e.watch(client, dir, len(w.Tasks), p) {
			select {
			case <-time.After(cmp.Or(e.patience, patience)):
				stop()
			case <-client.Done():
			}
		}
	})
	out, err := e.java(client, p.note, streaming, e.arguments(dir, program, w)...)
	stop()
	watching.Wait()
	if ctx.Err() == nil && p.done() == len(w.Tasks) {
		err = nil
	}
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, errNoJava):
		return true, err
	case ctx.Err() == nil:
		err = fmt.Errorf("job %s: %w%s", tag(w.Name), err, lines(out))
	default:
		err = ctx.Err()
	}
	kctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyLimit)
	defer cancel()
	if failed := e.kill(kctx, w.Name, p.job()); failed != nil {
		e.Log.Warn("a job could not be ended; it does no harm, and is ended before the next one", "type", w.Type, "job", tag(w.Name), "error", failed)
		return false, err
	}
	return true, err
}

// progress is how far a job is.
type progress struct {
	mu   sync.Mutex
	now  engine.Progress
	tell func(engine.Progress)
}

func (p *progress) change(do func(now *engine.Progress)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.now
	if do(&p.now); p.now != before {
		p.tell(p.now)
	}
}

// note takes the application's id from what the client says.
func (p *progress) note(said []byte) {
	if id := applicationRE.Find(said); id != nil {
		p.change(func(now *engine.Progress) { now.Job = string(id) })
	}
}

func (p *progress) done() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now.Done
}

func (p *progress) job() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now.Job
}

// watch tells how many tasks are done, until all are or ctx ends.
func (e *Engine) watch(ctx context.Context, dir string, of int, p *progress) (all bool) {
	for {
		if n, err := e.count(ctx, dir); err == nil {
			p.change(func(now *engine.Progress) { now.Done = max(now.Done, min(n, of)) })
			if n >= of {
				return true
			}
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return false
		}
	}
}

var applicationRE = regexp.MustCompile(`\bapplication_[0-9]+_[0-9]+\b`)

// kill ends the application of some work; without an id, all that have not ended.
func (e *Engine) kill(ctx context.Context, work, id string) error {
	ids := []string{id}
	if id == "" {
		out, err := e.java(ctx, nil, application, "application", "-list", "-appTags", tag(work), "-appStates", "NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING")
		if err != nil {
			return fmt.Errorf("look for job %s: %w%s", tag(work), err, lines(out))
		}
		ids = applicationRE.FindAllString(out, -1)
		slices.Sort(ids)
	}
	for _, id := range slices.Compact(ids) {
		out, err := e.java(ctx, nil, application, "application", "-kill", id)
		if err != nil && !strings.Contains(out, "doesn't exist in RM") { // it was started anew
			return fmt.Errorf("end job %s: %w%s", id, err, lines(out))
		}
	}
	return nil
}

// errNoJava says that a client could not be started.
var errNoJava = errors.New("demux.yarn.java says where Java is")

// java runs a Hadoop client, which ends with ctx, and returns the end of what it said.
// note is given what it says, with some of what it said before.
func (e *Engine) java(ctx context.Context, note func([]byte), class string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, e.Java, append([]string{"-Xmx512m", "-cp", strings.Join(e.Classpath, ":"), class}, args...)...)
	// A client whose demux was killed would wait for its job alone. The signal comes
	// when the thread ends that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out := tail{note: note}
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if err != nil && cmd.Process == nil {
		err = fmt.Errorf("%w: %w", err, errNoJava)
	}
	return out.String(), err
}

// tail keeps the end of what is written.
type tail struct {
	note func([]byte) // nil: nobody
	mu   sync.Mutex
	b    []byte
}

const (
	maxTail = 64 << 10
	maxWord = 64 // of what may be cut by two writes
)

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	if t.note != nil {
		t.note(t.b[max(0, len(t.b)-len(b)-maxWord):])
	}
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
