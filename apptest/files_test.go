package apptest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var sceneFlag = flag.String("scene", "", "of what happens to files, play this scene alone")

// scene is what happens to the log app.log in a folder, step by step.
type scene struct {
	name  string
	paths []string // patterns in the folder; default *.log*
	pods  bool     // read by the kind pods, with the folder pods as its root
	watch string   // auto alone; default: both
	steps []step
	last  step // after the agent's last start; default: five lines more
}

// step is done at once, as seen by an agent that is stopped meanwhile. One that
// destroys what it may have to read waits until all that was written before is
// in the table.
type step struct {
	once bool
	do   func(s *stage)
}

func now(do func(s *stage)) step      { return step{do: do} }
func onceRead(do func(s *stage)) step { return step{once: true, do: do} }

// write is the step that only appends n lines.
func write(n int) step { return now(func(s *stage) { s.write("app.log", n) }) }

var scenes = []scene{
	{name: "renamed", steps: []step{
		write(30),
		now(func(s *stage) { s.write("app.log", 5); s.shift(); s.write("app.log", 5) }),
		now(func(s *stage) { s.shift(); s.write("app.log", 5); s.write("app.log.1", 2) }), // a late line
		now(func(s *stage) {
			for range 3 {
				s.write("app.log", 5)
				s.shift()
			}
		}),
	}},
	{name: "renamed-away", paths: []string{"*.log", "old/*"}, steps: []step{
		write(30),
		now(func(s *stage) { s.rename("app.log", "old/app-1"); s.write("app.log", 5) }),
		now(func(s *stage) { s.write("app.log", 5); s.rename("app.log", "old/app-2"); s.write("app.log", 30) }),
	}},
	{name: "copied-and-truncated", steps: []step{
		write(30),
		now(func(s *stage) { s.copyTruncate("app.log.1"); s.write("app.log", 5) }),
		now(func(s *stage) { s.write("app.log", 10) }),
		now(func(s *stage) {
			s.rename("app.log.1", "app.log.2")
			s.copyTruncate("app.log.1")
			s.write("app.log", 40)
		}),
		now(func(s *stage) {
			s.rename("app.log.2", "app.log.3")
			s.rename("app.log.1", "app.log.2")
			s.copyTruncate("app.log.1")
			s.write("app.log", 1)
		}),
	}},
	{name: "copied-elsewhere", paths: []string{"*.log", "old/**"}, steps: []step{
		write(60),
		now(func(s *stage) { s.copyTruncate("old/app.log-20260131"); s.write("app.log", 30) }),
		write(30),
		now(func(s *stage) { s.write("app.log", 5); s.copyTruncate("old/app.log-20260201"); s.write("app.log", 90) }),
	}},
	{name: "deleted", steps: []step{
		write(30),
		onceRead(func(s *stage) { s.write("app.log", 5); s.remove("app.log"); s.write("app.log", 20) }),
		onceRead(func(s *stage) { s.remove("app.log"); s.write("app.log", 30) }),
		onceRead(func(s *stage) { s.remove("app.log") }),
		write(10),
	}},
	{name: "replaced", paths: []string{"*.log"}, steps: []step{
		write(200),
		onceRead(func(s *stage) { s.replace(50) }),
		onceRead(func(s *stage) { s.write("app.log", 5); s.replace(50) }),
		write(5),
		onceRead(func(s *stage) { s.replace(1) }),
		onceRead(func(s *stage) { s.write("app.log", 5); s.replace(0) }),
		write(5),
	}},
	// Who only looks now and then can't tell two replacements from a rotation.
	{name: "replaced-at-once", paths: []string{"*.log"}, watch: "auto", steps: []step{
		write(200),
		onceRead(func(s *stage) { s.replace(50) }),
		now(func(s *stage) { s.replace(50); s.replace(1) }),
		write(5),
		now(func(s *stage) { s.replace(0) }),
		now(func(s *stage) { s.write("app.log", 5); s.replace(50) }),
	}},
	{name: "edited", paths: []string{"*.log"}, steps: []step{
		write(50),
		now(func(s *stage) { s.edit(3) }),
		now(func(s *stage) { s.edit(0) }),
		write(5),
		now(func(s *stage) { s.edit(40); s.edit(1) }),
	}},
	{name: "cut-back", steps: []step{
		write(30),
		onceRead(func(s *stage) { s.cut(10); s.write("app.log", 5) }),
		onceRead(func(s *stage) { s.cut(12); s.write("app.log", 40) }), // longer than before
		onceRead(func(s *stage) { s.cut(9) }),
		write(10),
	}},
	{name: "emptied", steps: []step{
		write(30),
		onceRead(func(s *stage) { s.cut(0); s.write("app.log", 10) }),
		onceRead(func(s *stage) { s.cut(0); s.write("app.log", 60) }),
		onceRead(func(s *stage) { s.cut(0) }),
		write(10),
	}},
	{name: "zeros", steps: []step{
		now(func(s *stage) { s.allocate(1 << 20); s.fill(11) }),
		now(func(s *stage) { s.fill(30) }),
		now(func(s *stage) { s.fill(1) }),
		now(func(s *stage) { s.finish(); s.shift(); s.allocate(2 << 20); s.fill(20) }),
		now(func(s *stage) { s.fill(40) }),
		now(func(s *stage) { s.shift(); s.allocate(1 << 20) }), // the old one keeps its zeros
		now(func(s *stage) { s.fill(10) }),
	}, last: now(func(s *stage) { s.fill(5) })},
	{name: "zeros-mapped", steps: []step{
		now(func(s *stage) { s.mapped = true; s.allocate(2 << 20); s.fill(11) }),
		now(func(s *stage) { s.fill(30) }),
		now(func(s *stage) { s.finish(); s.shift(); s.allocate(1 << 20); s.fill(300) }),
		now(func(s *stage) { s.fill(1) }),
	}, last: now(func(s *stage) { s.fill(5) })},
	{name: "link-swapped", paths: []string{"current/app.log"}, steps: []step{
		now(func(s *stage) { s.write("one/app.log", 20); s.link("one", "current") }),
		onceRead(func(s *stage) { s.write("one/app.log", 5); s.write("two/app.log", 10); s.swap("two", "current") }),
		now(func(s *stage) { s.write("two/app.log", 5) }),
	}, last: now(func(s *stage) { s.write("two/app.log", 5) })},
	{name: "docker", paths: []string{"containers/*.log"}, steps: slices.Concat(docker, []step{ // what was rotated before it was seen is nowhere any more
		onceRead(func(s *stage) { s.docker(4); s.shift(); s.docker(4) }),
		now(func(s *stage) { s.docker(4) }),
		onceRead(func(s *stage) { s.shift(); s.docker(5) }),
	}), last: now(func(s *stage) { s.docker(3) })},
	{name: "docker-pods", pods: true, steps: slices.Concat(docker, []step{
		now(func(s *stage) { s.docker(4); s.shift(); s.docker(4) }),
		now(func(s *stage) { s.docker(4) }),
		now(func(s *stage) { s.docker(1); s.shift(); s.docker(1); s.shift(); s.docker(4) }),
		now(func(s *stage) { s.shift(); s.docker(5) }),
	}), last: now(func(s *stage) { s.docker(3) })},
}

// docker makes a container's log behind the links that the kubelet makes; docker
// rotates it itself.
var docker = []step{
	now(func(s *stage) {
		id := strings.Repeat("a", 64)
		s.log = "docker/" + id + "/" + id + "-json.log"
		s.docker(10)
		pod := fmt.Sprintf("pods/shop_web-1_11112222-1111-2222-3333-%012x/web/0.log", s.prefix[len(s.prefix)-4:]) // each has its own
		s.link(s.log, pod)
		s.link(pod, "containers/web-1_shop_web-"+id+".log")
	}),
}

// table is where the scene's rows are.
func (s *stage) table(m *machine) string {
	if s.pods {
		return m.name + "-pods"
	}
	return m.name
}

// play plays all scenes with inotify and with polling, under one agent. Between
// two steps the agent works for a moment; during each it is stopped for up to
// stopped.
func (m *machine) play(t *testing.T, stopped time.Duration) {
	rnd := choices(t, 1)
	pause := func(atMost time.Duration) { <-time.After(time.Duration(rnd.Int64N(int64(atMost) + 1))) }
	var stages []*stage
	var adaptors []string
	for _, sc := range scenes {
		if *sceneFlag != "" && sc.name != *sceneFlag {
			continue
		}
		for _, watch := range []string{"auto", "poll"} {
			if sc.watch != "" && sc.watch != watch {
				continue
			}
			s := &stage{scene: sc, t: t, prefix: sc.name + " " + watch, dir: m.at(sc.name + "-" + watch), log: "app.log"}
			s.must(os.MkdirAll(s.dir, 0o755))
			t.Cleanup(s.close)
			stages = append(stages, s)
			entry := fmt.Sprintf("name: %s-%s, watch: %s, rescan: 3s", sc.name, watch, watch)
			if sc.pods {
				adaptors = append(adaptors, fmt.Sprintf("{%s, kind: pods, type: %s, root: %q}", entry, s.table(m), s.path("pods")))
				continue
			}
			paths := []string{}
			for _, p := range sc.paths {
				paths = append(paths, fmt.Sprintf("%q", s.path(p)))
			}
			if len(paths) == 0 {
				paths = append(paths, fmt.Sprintf("%q", s.path("*.log*")))
			}
			adaptors = append(adaptors, fmt.Sprintf("{%s, kind: tail, type: %s, paths: [%s]}", entry, m.name, strings.Join(paths, ", ")))
		}
	}
	m.configure(t, adaptors...)
	m.start(t)
	deadline := time.Now().Add(3 * slow)
	for left := len(stages); left > 0; {
		if time.Now().After(deadline) {
			break // what is missing is told below
		}
		counts := m.rows(t, m.name, "true")
		for line := range m.rows(t, m.name+"-pods", "true") {
			counts[line]++
		}
		if stopped > 0 {
			m.agent.freeze()
		}
		left = 0
		for _, s := range stages {
			if s.watch == "auto" && s.at > 1 && m.looksOnly(t, s) {
				s.at = len(s.steps) // the kernel had no inotify instance left for it
			}
			if s.at == len(s.steps) {
				continue
			}
			left++
			unread := slices.ContainsFunc(s.lines, func(line string) bool { return counts[line] == 0 })
			if !unread || !s.steps[s.at].once && rnd.IntN(2) == 0 {
				s.steps[s.at].do(s)
				s.at++
			}
		}
		if stopped > 0 {
			pause(stopped)
			m.agent.thaw()
		}
		pause(time.Second)
	}
	m.exact(t, stages)
	m.restart(t)
	for _, s := range stages {
		if s.scene.last.do == nil {
			s.scene.last = write(5)
		}
		s.scene.last.do(s)
	}
	m.exact(t, stages)
	a := m.complete(t)
	// The agent opens a fork where a file was cut back, or a copy may be one; the
	// bytes alone make none here.
	a.Forks = slices.DeleteFunc(a.Forks, func(f auditRange) bool { return strings.Contains(f.Cause, "cut back") })
	a.nothing(t)
}

// looksOnly reports whether the agent said, before it read anything of the scene,
// that it can't watch its folders.
func (m *machine) looksOnly(t *testing.T, s *stage) bool {
	for line := range strings.Lines(mustRead(t, m.agent.log.Name())) {
		if strings.Contains(line, "can't watch folders") && strings.Contains(line, "adaptor="+s.name+"-"+s.watch+" ") {
			return true
		}
	}
	return false
}

// exact fails the test for each scene whose lines are not rows, each once.
func (m *machine) exact(t *testing.T, stages []*stage) {
	t.Helper()
	wrong := map[string]string{}
	deadline, tick := time.After(slow), time.NewTicker(500*time.Millisecond)
	defer tick.Stop()
	for right := 0; right < 4; { // a doubled row may be late
		if right++; m.wrong(t, stages, wrong) {
			right = 0
		}
		select {
		case <-tick.C:
		case <-deadline:
			right = 4
		}
	}
	for _, s := range stages {
		if wrong[s.prefix] != "" {
			t.Errorf("%s: %s", s.prefix, wrong[s.prefix])
		}
	}
}

// wrong tells what is wrong with each scene, and whether waiting may help.
func (m *machine) wrong(t *testing.T, stages []*stage, wrong map[string]string) (wait bool) {
	t.Helper()
	counts := map[string]map[string]int{} // by scene
	for _, table := range []string{m.name, m.name + "-pods"} {
		for _, row := range m.reader.ask(t, filepath.Join(m.store, "tables", table), "select message, source, count(*) from t group by all") {
			i := slices.IndexFunc(stages, func(s *stage) bool { return strings.HasPrefix(fmt.Sprint(row[1]), s.dir+"/") })
			if i < 0 {
				t.Fatalf("a row of %v", row[1])
			}
			if counts[stages[i].prefix] == nil {
				counts[stages[i].prefix] = map[string]int{}
			}
			n, _ := row[2].(float64)
			counts[stages[i].prefix][fmt.Sprint(row[0])] += int(n)
		}
	}
	for _, s := range stages {
		var worse bool
		wrong[s.prefix], worse = compare(counts[s.prefix], s.lines, nil)
		wait = wait || wrong[s.prefix] != "" && !worse
	}
	return wait
}
