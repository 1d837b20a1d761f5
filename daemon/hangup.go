package daemon

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

// terminalWait is how long after a SIGHUP the terminal may take to be gone: a
// shell that ends sends the signal just before.
const terminalWait = 250 * time.Millisecond

// Hangups takes SIGHUP, which ends a process that does not. It is a wish to
// reload; signals that come while one waits in the channel count as one with it.
// Where the process has a terminal that went, nobody watches it any more: it is
// told so by terminalGone, once, instead. One that was started with SIGHUP ignored, as
// nohup does, is to outlive its terminal.
func Hangups(terminalGone func()) (reload <-chan struct{}, stop func()) {
	watched := hasTerminal() && !signal.Ignored(syscall.SIGHUP)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	wishes, quit := make(chan struct{}, 1), make(chan struct{})
	go func() {
		for {
			select {
			case <-quit:
				return
			case <-signals:
			}
			if watched && terminalWent(quit) {
				watched = false
				terminalGone()
				continue
			}
			select {
			case wishes <- struct{}{}:
			default:
			}
		}
	}()
	return wishes, func() {
		signal.Stop(signals)
		close(quit)
	}
}

// hasTerminal reports whether the process has a controlling terminal.
func hasTerminal() bool {
	f, err := os.OpenFile("/dev/tty", os.O_RDONLY|syscall.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	f.Close()
	return true
}

func terminalWent(quit <-chan struct{}) bool {
	for until := time.Now().Add(terminalWait); hasTerminal(); {
		if time.Now().After(until) {
			return false
		}
		select {
		case <-time.After(terminalWait / 10):
		case <-quit:
			return false
		}
	}
	return true
}
