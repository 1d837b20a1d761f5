package pods

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

func TestRulesChooseContainers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Namespaces = []config.Glob{"shop", "team-*"}
	r.cfg.ExcludePods = []config.Glob{"web-*"}
	r.cfg.ExcludeContainers = []config.Glob{"istio-proxy"}
	r.cfg.Types = []TypeRule{{Match: TypeMatch{Container: "nginx*"}, Type: "access"}}
	yes := []*ctr{r.run("shop_db-0_u1", "nginx", 0), r.run("team-x_y_u2", "app", 0)}
	no := []*ctr{r.run(web, "nginx", 0), r.run("kube-system_x_u3", "app", 0), r.run("shop_db-0_u1", "istio-proxy", 0)}
	for _, c := range r.all {
		c.write(3)
	}
	r.start()
	r.arrived(yes...)
	r.run("other_x_u4", "app", 0).write(1)
	last := r.run("shop_z_u5", "app", 0)
	last.write(1)
	r.arrived(last)
	for _, c := range no {
		if got := r.got(c.path); got != "" {
			t.Errorf("%s was collected", c.path)
		}
	}
	for _, c := range r.rec.Chunks() {
		if want := map[bool]string{true: "access", false: "test"}[c.Source == yes[0].path]; c.Type != want {
			t.Errorf("%s: got type %q, want %q", c.Source, c.Type, want)
		}
	}
}

func TestOutputThatRefusesLosesNothing(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		c := r.run(web, "nginx", 0)
		c.write(10)
		r.start()
		r.arrived()
		r.rec.Refuse(func(*chunk.Chunk) error { return errors.New("429") })
		c.write(10)
		r.until("nothing was refused", func() bool { return r.a.Status().LastErr != "" })
		// Until the log is seen again, each file is open before it is gone.
		for range 7 {
			c.write(10)
			id := c.stat()
			c.rotate()
			c.write(1)
			r.until("the rotation was not seen", func() bool { return r.sees(c, id) })
		}
		r.remove(web)
		r.rec.Refuse(nil)
		r.arrived()
	})
}

func TestFilesBeyondTheBoundOfOpenOnesTakeTurns(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.maxOpen = 10
	for i := range 60 {
		r.run(fmt.Sprintf("shop_p%d_u%d", i, i), "c", 0).write(3)
	}
	r.start()
	r.arrived()
	for i, c := range r.all {
		if i%3 == 0 {
			c.write(1)
			c.rotate()
		}
		c.write(2)
	}
	r.arrived()
	r.until("too many files are open", func() bool { return r.openFiles() <= 15 })
	r.stop()
	for _, c := range r.all {
		c.write(1)
	}
	r.start()
	r.arrived()
}

func TestThousandsOfContainers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Rescan = config.Duration(time.Minute)
	const n = 1500
	for i := range n {
		c := r.run(fmt.Sprintf("ns%d_p%d_u%d", i%7, i, i), "c", 0)
		c.write(2)
		c.stop()
	}
	r.start()
	want := 0
	for _, c := range r.all {
		want += c.wrote.Len()
	}
	r.until("not all came", func() bool { return len(r.rec.Content()) >= want })
	if got := len(r.rec.Streams()); got != n {
		t.Errorf("got %d streams, want %d", got, n)
	}
}

func TestOwnPodIsLeftOut(t *testing.T) {
	env := map[string]string{"POD_NAME": "agent-x", "POD_NAMESPACE": "logging"}
	get := func(k string) string { return env[k] }
	for c, want := range map[container]bool{
		{namespace: "logging", pod: "agent-x"}: true,
		{namespace: "other", pod: "agent-x"}:   false,
		{namespace: "logging", pod: "agent-y"}: false,
	} {
		if got := self(&c, get); got != want {
			t.Errorf("%+v: got %t, want %t", c, got, want)
		}
	}
	if self(&container{pod: ""}, func(string) string { return "" }) {
		t.Error("a pod without a name counts as the agent's own")
	}
}

func TestPathsAreRead(t *testing.T) {
	for path, want := range map[string]string{
		"ns_pod_uid/c/0.log":                       "ns pod uid c 0 ''",
		"ns_pod-0_a-b-c/c.d/12.log":                "ns pod-0 a-b-c c.d 12 ''",
		"ns_pod_uid/c/0.log.20260301-000001":       "ns pod uid c 0 '20260301-000001'",
		"ns_pod_uid/c/0.log.20260301-000001.gz":    "ns pod uid c 0 '20260301-000001' gz",
		"ns_pod_uid/c/0.log.20260301-000001.tmp":   "",
		"ns_pod_uid/c/0.log.20260301-000001.gz.gz": "",
		"ns_pod_uid/c/00.log":                      "",
		"ns_pod_uid/c/x.log":                       "",
		"ns_pod/c/0.log":                           "",
		"_pod_uid/c/0.log":                         "",
		"ns__uid/c/0.log":                          "",
		"ns_pod_uid/0.log":                         "",
		"ns_pod_uid/c/d/0.log":                     "",
		"0.log":                                    "",
	} {
		got := ""
		if c, n, ok := parsePath(path); ok {
			got = fmt.Sprintf("%s %s %s %s %d '%s'", c.namespace, c.pod, c.uid, c.name, c.restart, n.rotated)
			if n.gz {
				got += " gz"
			}
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func TestMissingRootIsWaitedFor(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		c := r.run(web, "nginx", 0)
		c.write(3)
		r.start()
		r.arrived()
		r.stop()
		away := r.root + "-away"
		r.ok(os.Rename(r.root, away))
		r.start()
		r.until("it is not said", func() bool { return strings.Contains(r.a.Status().LastErr, "folder of all pods") })
		for range 3 { // nothing may happen in the time in which another's pod is found to be deleted
			other := newRig(t)
			other.cfg.Watch = r.cfg.Watch
			other.run(web, "nginx", 0).write(1)
			other.start()
			other.arrived()
			other.stop()
			other.remove(web)
			other.start()
			other.until("the end was not told", func() bool { return len(other.rec.Facts(chunk.End)) == 1 })
		}
		r.ok(os.Rename(away, r.root))
		c.write(3)
		r.arrived()
		if facts := r.rec.Facts(chunk.End); len(facts) > 0 {
			t.Errorf("told as ended: %+v", facts)
		}
	})
}

// TestRootThatComesBackDeletesNothing moves the folder of all pods away and back
// while an instance looks for its files.
func TestRootThatComesBackDeletesNothing(t *testing.T) {
	t.Parallel()
	k := newKubelet(t)
	k.run(web, "nginx", 0).write(1)
	c, _, ok := parsePath(web + "/nginx/0.log")
	if !ok {
		t.Fatal("the path is not read")
	}
	in := newInstance(&adaptors.Env{}, k.root, c, testTimes())
	defer in.close(true)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.Rename(k.root, k.root+"-away")
				_ = os.Rename(k.root+"-away", k.root)
			}
		}
	}()
	for range 20000 {
		if err := in.look(); err == nil && in.folder.absent {
			t.Error("the log counts as deleted")
			break
		}
	}
	close(stop)
	<-done
}

// TestAdaptorsShareTheirDescriptors runs three adaptors with more logs each
// than the agent may keep open.
func TestAdaptorsShareTheirDescriptors(t *testing.T) {
	each(t, func(t *testing.T, first *rig) {
		const bound = 20
		shared := adaptors.NewDescriptors(bound)
		rigs := []*rig{first, newRig(t), newRig(t)}
		open := func() (n int) {
			for _, r := range rigs {
				n += r.openFiles()
			}
			return n
		}
		for _, r := range rigs {
			r.cfg.Watch, r.descriptors = first.cfg.Watch, shared
			for i := range 30 {
				r.run(fmt.Sprintf("shop_p%d_u%d", i, i), "c", 0).write(3)
			}
			r.start()
			r.arrived()
			r.rec.Settle(r.a)
		}
		first.until("too many files are open", func() bool { return open() <= bound })
		for _, r := range rigs {
			for i, c := range r.all {
				if i%3 == 0 {
					c.rotate()
				}
				c.write(2)
			}
		}
		for _, r := range rigs {
			r.arrived()
			r.rec.Settle(r.a)
		}
		first.until("too many files are open once all have grown", func() bool { return open() <= bound })
	})
}

// TestFilesAreHeldFromTheStartWhileNoCollectorTakesAnything starts the agent on
// pods that are deleted while all readers wait for an output that is stuck.
func TestFilesAreHeldFromTheStartWhileNoCollectorTakesAnything(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		const n = 3 * readers
		for i := range n {
			c := r.run(fmt.Sprintf("shop_p%d_u%d", i, i), "c", 0)
			for range 3 {
				c.write(3)
				c.rotate()
			}
			c.write(3)
		}
		free := make(chan struct{})
		r.rec.Refuse(func(*chunk.Chunk) error { <-free; return nil })
		r.start()
		r.until("not all files are held", func() bool { return r.openFiles() == 4*n })
		for _, c := range r.all {
			r.remove(c.pod)
		}
		close(free)
		r.rec.Refuse(nil)
		r.arrived()
		if lost := r.rec.Facts(chunk.Lost); len(lost) > 0 {
			t.Errorf("told as lost: %+v", lost)
		}
	})
}

// TestPodThatWasSeenAndNeverReadIsToldAsLost kills the agent after a pod was
// deleted that it had no chance to read.
func TestPodThatWasSeenAndNeverReadIsToldAsLost(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		for i := range 2 * readers {
			r.run(fmt.Sprintf("shop_p%d_u%d", i, i), "c", 0).write(3)
		}
		free := make(chan struct{})
		r.rec.Refuse(func(*chunk.Chunk) error { <-free; return errors.New("503") })
		r.start()
		r.until("not all streams are known", func() bool { return len(r.rec.Known()) == len(r.all)+1 })
		for _, c := range r.all {
			r.remove(c.pod)
		}
		r.rec.Kill()
		close(free)
		r.stop()
		r.rec.Refuse(nil)
		r.start()
		r.until("not all were told as lost", func() bool { return len(r.rec.Facts(chunk.Lost)) == len(r.all) })
		r.forgotten(0)
	})
}

// TestBurstOfPodsOpensFilesWithinTheBound starts more pods at once than files
// may be open, while no collector takes anything.
func TestBurstOfPodsOpensFilesWithinTheBound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Rescan = config.Duration(time.Minute)
	r.maxOpen = 20
	r.start()
	r.until("not started", func() bool { return len(r.rec.Known()) == 1 })
	r.rec.Refuse(func(*chunk.Chunk) error { return errors.New("429") })
	for i := range 300 {
		c := r.run(fmt.Sprintf("shop_p%d_u%d", i, i), "c", 0)
		c.write(3)
		c.stop()
	}
	most := 0
	r.until("not all were found", func() bool {
		most = max(most, r.openFiles())
		return len(r.a.Status().Sources) == 300
	})
	// The run itself looks at a file, and lists a folder.
	if bound := 20 + 20/2 + readers + openers + 2; most > bound {
		t.Errorf("%d files were open, want at most %d: half as many again as 20, and one for each reader and opener", most, bound)
	}
	r.rec.Refuse(nil)
	r.arrived()
}

func TestManyLogsThatFailAtOnceAreNotOneWarningEach(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	log := &countedLog{}
	r.log = log
	for i := range 200 {
		c := r.run(fmt.Sprintf("shop_p%d_u%d", i, i), "c", 0)
		c.write(1)
		c.stop()
	}
	var tries atomic.Int32
	r.rec.Refuse(func(*chunk.Chunk) error { tries.Add(1); return errors.New("no space left on device") })
	r.start()
	r.until("logs are not tried again", func() bool { return tries.Load() > 1000 })
	r.rec.Refuse(nil)
	r.arrived()
	if n := log.warnings.Load(); n == 0 || n > 5 {
		t.Errorf("%d warnings, want one now and then", n)
	}
}

// countedLog counts warnings.
type countedLog struct {
	slog.Handler
	warnings atomic.Int32
}

func (l *countedLog) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

func (l *countedLog) Handle(context.Context, slog.Record) error {
	l.warnings.Add(1)
	return nil
}

func TestConformance(t *testing.T) {
	var k *kubelet
	var c *ctr
	adaptortest.Test(t, adaptortest.Kind{
		New: func(t *testing.T) adaptorsAdaptor {
			k = newKubelet(t)
			c = k.run(web, "nginx", 0)
			cfg := DefaultConfig()
			cfg.Root = k.root
			a, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			a.times = testTimes()
			return a
		},
		Feed:   func(*testing.T) { c.write(1) },
		Finish: func(*testing.T) { k.remove(web) },
		Lose:   func(*testing.T) { k.remove(web) },
	})
}
