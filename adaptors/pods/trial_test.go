package pods

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
)

// trial is a testing.TB whose failure is an answer and not the test's.
type trial struct {
	testing.TB
	failures []string
	cleanups []func()
}

func (t *trial) Helper()                           {}
func (t *trial) Logf(string, ...any)               {}
func (t *trial) Cleanup(f func())                  { t.cleanups = append(t.cleanups, f) }
func (t *trial) Failed() bool                      { return len(t.failures) > 0 }
func (t *trial) Error(args ...any)                 { t.failures = append(t.failures, fmt.Sprint(args...)) }
func (t *trial) Errorf(format string, args ...any) { t.Error(fmt.Sprintf(format, args...)) }
func (t *trial) Fatal(args ...any) {
	t.Error(args...)
	runtime.Goexit()
}
func (t *trial) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

// end does what was put off until the end.
func (t *trial) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}
