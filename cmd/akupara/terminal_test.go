package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/akupara/akupara/cmd/akupara/internal/show"
	"golang.org/x/sys/unix"
)

// terminal opens a pseudo-terminal: what a person types and sees, and what a
// program has for its own.
func terminal(t *testing.T, columns uint16) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	if err := unix.IoctlSetWinsize(int(program.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	return person, program
}

// seen is what a person sees of a program that runs on a terminal, after
// typing, until it ends or is interrupted once done says so.
func (n *node) seen(columns uint16, typed string, done func(string) bool, args ...string) (text string, code int) {
	n.t.Helper()
	person, program := terminal(n.t, columns)
	cmd := exec.Command(binary, append(args, "--config", n.config)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	program.Close()
	if _, err := io.WriteString(person, typed); err != nil {
		n.t.Fatal(err)
	}
	kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	var all bytes.Buffer
	buf := make([]byte, 4096)
	for {
		k, err := person.Read(buf)
		all.Write(buf[:k])
		if done != nil && done(all.String()) {
			_ = cmd.Process.Signal(os.Interrupt)
			done = nil
		}
		if err != nil {
			break // EIO: nobody has it open any more
		}
	}
	_ = cmd.Wait() // ProcessState tells how it ended
	return strings.ReplaceAll(all.String(), "\r\n", "\n"), cmd.ProcessState.ExitCode()
}

func (n *node) fitsTheTerminal() {
	for _, columns := range []uint16{30, 60, 200} {
		for _, args := range [][]string{{"adaptor", "ls"}, {"streams"}, {"kinds", "tail"}} {
			text, code := n.seen(columns, "", nil, args...)
			if code != 0 || text == "" {
				n.t.Errorf("%v on %d columns: exit code %d, %q", args, columns, code, text)
			}
			for line := range strings.Lines(text) {
				if w := show.Cells(strings.TrimRight(line, "\n")); w > int(columns) && strings.Contains(line, "─") {
					n.t.Errorf("%v: a line takes %d cells of %d: %q", args, w, columns, line)
				}
			}
		}
	}
	text, code := n.seen(100, "", func(s string) bool { return strings.Count(s, "\x1b[H\x1b[2J") >= 3 }, "adaptor", "ls", "--watch=100ms")
	if code != 0 || strings.Count(text, "app   tail") < 2 {
		n.t.Errorf("adaptor ls --watch: exit code %d after Ctrl-C and\n%s\nwant 0 and the list several times", code, text)
	}
}

func (n *node) asksBeforeARewind() {
	text, code := n.seen(80, "n\n", nil, "adaptor", "rewind", "app", "--all")
	if code != 1 || !strings.Contains(text, "rows that the table holds are not doubled") || !strings.Contains(text, "nothing was done") {
		n.t.Errorf("rewind, answered with no: exit code %d and\n%s\nwant 1, what it does, and that nothing was done", code, text)
	}
	if text, code = n.seen(80, "y\n", nil, "adaptor", "rewind", "app", "--all"); code != 0 || !strings.Contains(text, "back to") {
		n.t.Errorf("rewind, answered with yes: exit code %d and\n%s\nwant 0 and what was set back", code, text)
	}
	if text, code = n.seen(80, "", nil, "adaptor", "rewind", "app", "--all", "--yes"); code != 0 || strings.Contains(text, "[y/N]") {
		n.t.Errorf("rewind --yes: exit code %d and\n%s\nwant 0 and no question", code, text)
	}
}
