package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// grace is how long a process has between SIGTERM and SIGKILL.
const grace = 2 * time.Second

// process is a running program with a process group of its own, so that what
// it started ends with it.
type process struct {
	cmd   *exec.Cmd
	ended atomic.Bool // it was told to end, before it did so by itself
}

// start starts argv. When ctx is done the process group is ended. The caller's
// goroutine must call wait, and stays on its thread until then: the kernel
// ends the program when that thread, and thereby the agent, is gone.
func start(ctx context.Context, argv []string, stdout, stderr io.Writer) (*process, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &process{cmd: cmd}
	cmd.Cancel = func() error {
		p.ended.Store(true)
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	}
	cmd.WaitDelay = grace
	runtime.LockOSThread()
	if err := cmd.Start(); err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("start program: %w", err)
	}
	return p, nil
}

// wait waits for the program's end and ends what it left behind. code is its
// exit code, or 128 and the signal's number as shells tell it.
func (p *process) wait() (code int, err error) {
	defer runtime.UnlockOSThread()
	err = p.cmd.Wait()
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // fails where nobody is left
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + int(status.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		return 0, nil // it ended; a child of it kept its output open
	}
	return 0, err
}
