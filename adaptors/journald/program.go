package journald

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// errEnough is given by whoever takes entries and wants no more.
var errEnough = errors.New("enough")

// maxStderr is how many bytes of what journalctl says are kept.
const maxStderr = 2048

// entries runs journalctl and gives its entries to each, one after the other,
// until it ends. What each says ends it, too; errEnough is no error. The program
// ends with the agent, also when that is killed: the kernel ends it when its
// thread is gone, so the goroutine stays on it.
func entries(ctx context.Context, program string, args []string, maxField int, each func(entry) error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	said := &tail{}
	cmd.Stderr = said
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	err = parse(stdout, maxField, each)
	if err != nil {
		cancel()
	}
	waitErr := cmd.Wait()
	switch {
	case errors.Is(err, errEnough):
		return nil
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case waitErr != nil || err != nil:
		text := strings.ToValidUTF8(strings.TrimSpace(string(said.kept)), "�")
		return fmt.Errorf("%s ended: %w %s", program, errors.Join(waitErr, err), text)
	}
	return nil
}

func parse(r io.Reader, maxField int, each func(entry) error) error {
	p := newParser(r, maxField)
	for {
		e, err := p.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(e); err != nil {
			return err
		}
	}
}

// tail keeps the last bytes that are written to it.
type tail struct{ kept []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.kept = append(t.kept, b...)
	if over := len(t.kept) - maxStderr; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(b), nil
}
