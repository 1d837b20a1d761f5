package storetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// YARN is a real YARN on loopback, beside the shared cluster's HDFS. Its methods fail
// the test when they fail.
type YARN struct{ t testing.TB }

// SharedYARN returns the YARN that `make yarn` starts, and starts it if needed, which
// takes half a minute and 500 MB. Without Java or Maven the test is skipped, or fails
// where CI is set.
func SharedYARN(t testing.TB) *YARN {
	t.Helper()
	y := &YARN{t}
	if out, err := y.script(t.Context(), "start"); err != nil {
		missing(t, "start YARN", out, err)
	}
	return y
}

// Classpath is what Hadoop's clients need.
func (y *YARN) Classpath() []string {
	y.t.Helper()
	out, err := y.script(y.t.Context(), "classpath")
	if err != nil {
		y.t.Fatalf("yarn.sh classpath: %v\n%s", err, out)
	}
	return strings.Fields(string(out))
}

// KillRM ends the ResourceManager by SIGKILL.
func (y *YARN) KillRM() { y.must("kill-rm") }

// StartRM starts it again and waits until it has its node.
func (y *YARN) StartRM() { y.must("start-rm") }

// Jobs returns what YARN says of the jobs that are not at their end.
func (y *YARN) Jobs() string {
	y.t.Helper()
	out, err := y.script(context.Background(), "application", "-list", "-appStates", "SUBMITTED,ACCEPTED,RUNNING")
	if err != nil {
		y.t.Fatalf("yarn.sh application: %v\n%s", err, out)
	}
	return string(out)
}

// State returns the state of an application: RUNNING, FINISHED, KILLED.
func (y *YARN) State(application string) string {
	y.t.Helper()
	out, err := y.script(context.Background(), "application", "-status", application)
	if err != nil {
		y.t.Fatalf("yarn.sh application: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if state, ok := strings.CutPrefix(strings.TrimSpace(line), "State : "); ok {
			return state
		}
	}
	y.t.Fatalf("yarn.sh application -status says nothing of a state:\n%s", out)
	return ""
}

func (y *YARN) must(args ...string) {
	y.t.Helper()
	if out, err := y.script(context.Background(), args...); err != nil {
		y.t.Fatalf("yarn.sh %v: %v\n%s", args, err, out)
	}
}

func (y *YARN) script(ctx context.Context, args ...string) ([]byte, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(root, "deploy/hadoop/yarn.sh"), args...)
	cmd.Env = os.Environ()
	cmd.WaitDelay = 5 * time.Second
	return cmd.CombinedOutput()
}
