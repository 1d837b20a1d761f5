package journald

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary stand in for journalctl, where its options are
// as its manual says. The journal is a file of JSON objects, one a line, in the
// order of the journal.
func TestMain(m *testing.M) {
	if path := os.Getenv("JOURNAL_STANDIN"); path != "" {
		if err := standIn(path, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func standIn(path string, args []string) error {
	var cursor, unit string
	var follow, merge, last bool
	for _, arg := range args {
		name, v, _ := strings.Cut(arg, "=")
		switch name {
		case "--cursor":
			cursor = v
		case "--unit":
			unit = v
		case "--follow":
			follow = true
		case "--merge":
			merge = true
		case "--lines":
			last = v == "1"
		case "--output", "--all", "--no-pager", "--quiet", "--no-tail", "--directory", "--file":
		default:
			return fmt.Errorf("unknown option %s", arg)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	var all []map[string]any
	show := func(e map[string]any) {
		keys := make([]string, 0, len(e))
		for k := range e {
			keys = append(keys, k)
		}
		rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		var b strings.Builder
		for i, k := range keys {
			v, _ := json.Marshal(e[k])
			fmt.Fprintf(&b, "%s%q : %s", map[bool]string{true: "{ ", false: ", "}[i == 0], k, v)
		}
		fmt.Println(b.String() + " }")
	}
	boot := any(nil) // of which entries are followed
	if follow && !merge {
		if boot, err = lastBoot(path); err != nil {
			return err
		}
	}
	started := cursor == ""
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadString('\n')
		if err == io.EOF && line == "" {
			if !started && len(all) > 0 { // the entry is gone: the next one that is there
				started = true
				for _, e := range all {
					if later(e["__CURSOR"].(string), cursor) {
						show(e)
					}
				}
			}
			if last && cursor == "" && len(all) > 0 {
				show(all[len(all)-1])
			}
			if !follow {
				return nil
			}
			time.Sleep(5 * time.Millisecond) // between two looks, as a program of its own
			if info, err := os.Stat(path); err != nil || info.Size() == 0 {
				return fmt.Errorf("the journal is gone")
			}
			if os.Getppid() == 1 {
				return nil
			}
			continue
		}
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return err
		}
		started = started || e["__CURSOR"] == cursor
		if unit != "" && e["_SYSTEMD_UNIT"] != unit || boot != nil && e["_BOOT_ID"] != boot {
			continue
		}
		if last && cursor == "" || !started {
			all = append(all, e)
			continue
		}
		show(e)
		if last {
			return nil
		}
	}
}

// lastBoot is the boot of the last entry; nil where there is none.
func lastBoot(path string) (any, error) {
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		return nil, err
	}
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	var e map[string]any
	err = json.Unmarshal([]byte(lines[len(lines)-1]), &e)
	return e["_BOOT_ID"], err
}

// later compares the stand-in's cursors by their sequence number.
func later(a, b string) bool {
	var x, y int
	_, _ = fmt.Sscanf(cursorParts(a)["i"], "%x", &x)
	_, _ = fmt.Sscanf(cursorParts(b)["i"], "%x", &y)
	return x > y
}

// journal is what the stand-in reads.
type journal struct {
	t    *testing.T
	path string
	n    int // messages
	seq  int // number of the last entry
	boot int

	later bool // entries are written now, and not long ago
}

func newJournal(t *testing.T) *journal {
	j := &journal{t: t, path: t.TempDir() + "/journal"}
	t.Setenv("JOURNAL_STANDIN", j.path)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // with the race detector a program lingers a second
	if err := os.WriteFile(j.path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return j
}

// add writes entries; more are further fields.
func (j *journal) add(n int, more map[string]any) {
	j.t.Helper()
	f, err := os.OpenFile(j.path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		j.t.Fatal(err)
	}
	defer f.Close()
	var out strings.Builder
	for range n {
		j.n++
		j.seq++
		micros := int64(1772359200000000 + j.n)
		if j.later {
			micros = time.Now().UnixMicro()
		}
		boot := fmt.Sprintf("%02x", 11+j.boot)
		e := map[string]any{
			"__CURSOR":             fmt.Sprintf("s=0a;i=%x;b=%s;m=%x;t=%x;x=%x", j.seq, boot, j.n, micros, rand.Uint64()),
			"__REALTIME_TIMESTAMP": fmt.Sprint(micros), "__MONOTONIC_TIMESTAMP": fmt.Sprint(j.n), "__SEQNUM": fmt.Sprint(j.seq),
			"_BOOT_ID": boot, "MESSAGE": fmt.Sprintf("message %d", j.n), "PRIORITY": "6", "_PID": "12", "SYSLOG_IDENTIFIER": "tester",
		}
		for k, v := range more {
			e[k] = v
		}
		b, err := json.Marshal(e)
		if err != nil {
			j.t.Fatal(err)
		}
		out.Write(append(b, '\n'))
	}
	if _, err := f.WriteString(out.String()); err != nil {
		j.t.Fatal(err)
	}
}

// losePower takes the last entries away, and boots the machine again. The next
// ones get the numbers of those that are lost.
func (j *journal) losePower(n int) {
	j.t.Helper()
	b, err := os.ReadFile(j.path)
	if err != nil {
		j.t.Fatal(err)
	}
	lines := strings.SplitAfter(string(b), "\n")
	if err := os.WriteFile(j.path, []byte(strings.Join(lines[:len(lines)-1-n], "")), 0o600); err != nil {
		j.t.Fatal(err)
	}
	j.seq -= n
	j.boot++
}

// vacuum removes the oldest entries, or all where there are fewer.
func (j *journal) vacuum(n int) {
	j.t.Helper()
	b, err := os.ReadFile(j.path)
	if err != nil {
		j.t.Fatal(err)
	}
	lines := strings.SplitAfter(string(b), "\n")
	if err := os.WriteFile(j.path+".new", []byte(strings.Join(lines[min(n, len(lines)-1):], "")), 0o600); err != nil {
		j.t.Fatal(err)
	}
	if err := os.Rename(j.path+".new", j.path); err != nil {
		j.t.Fatal(err)
	}
}
