package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/colinmarc/hdfs/v2"
	"github.com/google/uuid"
)

// errUnsure replaces a "does not exist" that could not be proved.
var errUnsure = errors.New("the NameNode's answer could not be confirmed")

// with runs do on a session of its own. What do says exists or does not exist
// is believed only from a NameNode that has proved itself, so do may run twice.
func (f *FS) with(ctx context.Context, op, p string, do func(s *session) error) error {
	s, err := f.take(ctx)
	if err != nil {
		return fmt.Errorf("%s %s: %w", op, p, err)
	}
	release := s.guard(ctx, f.callLimit())
	err = do(s)
	if isFact(err) {
		err = s.confirm(err, func() error { return do(s) })
	}
	release()
	err = s.because(err)
	f.done(s, err)
	return explain(op, p, err)
}

// done gives the session back, or drops it after an error that left its state
// open.
func (f *FS) done(s *session, err error) {
	if err == nil || isAnswer(err) {
		f.put(s)
	} else {
		f.failed(s, err)
	}
}

// confirm makes sure of a fact: after a barrier on the same connection, again
// must still say so.
func (s *session) confirm(fact error, again func() error) error {
	failures := s.fs.failures.Load()
	if s.believed(failures) {
		return fact
	}
	dials, err := s.barrier()
	if err != nil {
		return fmt.Errorf("%w: %w", errUnsure, err)
	}
	err = again()
	s.mu.Lock()
	defer s.mu.Unlock()
	if isFact(err) && s.dials != dials {
		return fmt.Errorf("%w: connected anew meanwhile (%w)", errUnsure, hide(err))
	}
	s.provenDial, s.provenFailures = dials, failures
	return err
}

// believed reports whether the session's NameNode can be taken at its word. One
// of several may be active no more without knowing it, at any time; the only
// one can mislead only after an error of ours, when a request sent before it
// may not have been carried out yet.
func (s *session) believed(failures int64) bool {
	if s.fs.cluster.ha() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return failures == 0 || s.provenFailures >= failures && s.provenDial == s.dials
}

// barrier does a mutation that changes nothing of value. A NameNode that is
// active no more can't do it. dials is the connection that it went through.
//
// A user who may only read is refused; that is no proof, but all there is.
func (s *session) barrier() (dials int, err error) {
	s.mu.Lock()
	dials = s.dials
	s.mu.Unlock()
	now, base := time.Now(), s.fs.base
	err = s.client.Chtimes(base, now, now)
	if errors.Is(err, fs.ErrNotExist) {
		// MkdirAll of what exists by now would be no mutation.
		if err = s.client.MkdirAll(base, 0o755); err == nil {
			err = s.client.Chtimes(base, now, now)
		}
	}
	if errors.Is(err, fs.ErrPermission) {
		err = nil
	}
	if isAnswer(err) && strings.Contains(remoteMessage(err), "ccess time") {
		// A cluster that keeps no access times refuses to set them.
		dir := s.fs.abs(".barrier-" + uuid.NewString())
		if err = s.client.Mkdir(dir, 0o755); err == nil {
			err = s.client.Remove(dir)
		}
	}
	if err != nil {
		return dials, fmt.Errorf("barrier: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dials != dials {
		return dials, errors.New("barrier: connected anew meanwhile")
	}
	return dials, nil
}

// isFact tells errors that say what there is or is not.
func isFact(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist)
}

// isAnswer tells errors that are the NameNode's plain answer, with the
// connection in order.
func isAnswer(err error) bool {
	if errors.Is(err, errUnsure) {
		return false
	}
	var remote hdfs.Error
	return errors.As(err, &remote) || isFact(err) ||
		errors.Is(err, fs.ErrPermission) || errors.Is(err, os.ErrInvalid)
}

// remoteMessage is the first line of what the NameNode said.
func remoteMessage(err error) string {
	var remote hdfs.Error
	if !errors.As(err, &remote) {
		return ""
	}
	line, _, _ := strings.Cut(remote.Message(), "\n")
	if len(line) > 400 {
		line = line[:400] + "…"
	}
	return line
}

func explain(op, p string, err error) error {
	if err == nil {
		return nil
	}
	if p == "" {
		p = "the root"
	}
	if m := remoteMessage(err); m != "" {
		return fmt.Errorf("%s %s on HDFS: %s: %w", op, p, m, err)
	}
	return fmt.Errorf("%s %s on HDFS: %w", op, p, err)
}
