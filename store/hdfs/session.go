package hdfs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/colinmarc/hdfs/v2"
)

// DialFunc connects to a NameNode or DataNode.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

var (
	errClosed = errors.New("the store is closed")
	errLimit  = errors.New("took too long")
)

// session is one client with its connections. One goroutine uses it at a time;
// kill may come from any.
type session struct {
	fs     *FS
	client *hdfs.Client
	ctx    context.Context // ends connecting
	cancel context.CancelFunc

	mu     sync.Mutex
	conns  map[*conn]struct{}
	dials  int   // to NameNodes
	broken bool  // the NameNode's connection had an error, perhaps unseen by us
	cause  error // why the session is dead

	// The connection and the count of failures of the last barrier.
	provenDial     int
	provenFailures int64

	idleSince time.Time
}

// take returns an idle session or connects a new one.
func (f *FS) take(ctx context.Context) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil, errClosed
	}
	for len(f.idle) > 0 {
		s := f.idle[len(f.idle)-1]
		f.idle = f.idle[:len(f.idle)-1]
		if s.usable() && time.Since(s.idleSince) < idleFor {
			f.mu.Unlock()
			return s, nil
		}
		s.kill(errors.New("idle for too long"))
	}
	n := len(f.cluster.addresses)
	addresses := make([]string, 0, n)
	for i := range n {
		addresses = append(addresses, f.cluster.addresses[(f.turn+i)%n])
	}
	f.mu.Unlock()

	s := &session{fs: f, conns: map[*conn]struct{}{}}
	// Its own context: the session outlives the call that made it.
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.provenFailures = -1 // not proven
	opts := f.client
	opts.Addresses = addresses
	opts.NamenodeDialFunc = s.dialer(true)
	opts.DatanodeDialFunc = s.dialer(false)
	release := s.guard(ctx, f.callLimit())
	client, err := hdfs.NewClient(opts)
	release()
	if err == nil {
		s.mu.Lock()
		s.client, err = client, s.cause
		s.mu.Unlock()
		if err != nil {
			go client.Close() // killed before it was there
		}
	}
	if err != nil {
		err = s.because(err)
		f.failed(s, err)
		return nil, fmt.Errorf("connect to HDFS at %v: %w", addresses, err)
	}
	return s, nil
}

// put returns a session to the idle ones, unless it may be broken.
func (f *FS) put(s *session) {
	s.closeConns(false)
	f.mu.Lock()
	keep := !f.closed && s.usable() && len(f.idle) < maxIdle
	if keep {
		s.idleSince = time.Now()
		f.idle = append(f.idle, s)
	}
	f.mu.Unlock()
	if !keep {
		s.kill(errors.New("not needed"))
	}
}

// failed drops a session after an error, and the idle ones: they may be
// connected to the same dead NameNode. The next starts at the next address.
func (f *FS) failed(s *session, err error) {
	s.kill(err)
	f.failures.Add(1)
	f.mu.Lock()
	idle := f.idle
	f.idle = nil
	f.turn = (f.turn + 1) % len(f.cluster.addresses)
	f.mu.Unlock()
	for _, s := range idle {
		s.kill(err)
	}
}

// kill closes the session's connections: what hangs on them returns.
func (s *session) kill(cause error) {
	s.mu.Lock()
	if s.cause != nil {
		s.mu.Unlock()
		return
	}
	s.cause = cause
	client := s.client
	s.mu.Unlock()
	s.cancel()
	s.closeConns(true)
	if client != nil {
		// Aside: it waits for the client's lock, which a hung call may hold.
		go client.Close()
	}
}

// guard kills the session when ctx ends or the call takes longer than limit,
// until release is called.
func (s *session) guard(ctx context.Context, limit time.Duration) (release func()) {
	onCancel := func() { s.kill(context.Cause(ctx)) }
	onLimit := func() { s.kill(fmt.Errorf("%w (%s)", errLimit, limit)) }
	timer := time.AfterFunc(limit, onLimit)
	stop := context.AfterFunc(ctx, onCancel)
	return func() {
		// A kill that has begun must not strike the session's next user.
		if !timer.Stop() {
			onLimit()
		}
		if !stop() {
			onCancel()
		}
	}
}

func (s *session) death() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// because puts the reason of a killed session before the error that its call
// saw of it.
func (s *session) because(err error) error {
	if cause := s.death(); cause != nil && err != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

func (s *session) usable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause == nil && !s.broken
}

func (s *session) closeConns(namenode bool) {
	s.mu.Lock()
	var conns []*conn
	for c := range s.conns {
		if namenode || !c.namenode {
			conns = append(conns, c)
		}
	}
	s.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
}

func (s *session) dialer(namenode bool) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, network, address string) (net.Conn, error) {
		if cause := s.death(); cause != nil {
			return nil, cause
		}
		dial := s.fs.opts.Dial
		if dial == nil {
			dial = (&net.Dialer{}).DialContext
		}
		ctx, cancel := context.WithTimeout(s.ctx, s.fs.opts.Timeout)
		defer cancel()
		inner, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: inner, s: s, namenode: namenode, limit: s.fs.opts.Timeout}
		s.mu.Lock()
		cause := s.cause
		if cause == nil {
			s.conns[c] = struct{}{}
			if namenode {
				s.dials++
				s.broken = false
			}
		}
		s.mu.Unlock()
		if cause != nil {
			inner.Close()
			return nil, cause
		}
		return c, nil
	}
}

// conn limits each read and write in time, and is closed by its first error.
type conn struct {
	net.Conn
	s        *session
	namenode bool
	limit    time.Duration
	first    error // guarded by s.mu
}

func (c *conn) Read(b []byte) (int, error) {
	err := c.Conn.SetReadDeadline(time.Now().Add(c.limit))
	if err != nil {
		return 0, c.fail(err)
	}
	n, err := c.Conn.Read(b)
	return n, c.fail(err)
}

func (c *conn) Write(b []byte) (int, error) {
	err := c.Conn.SetWriteDeadline(time.Now().Add(c.limit))
	if err != nil {
		return 0, c.fail(err)
	}
	n, err := c.Conn.Write(b)
	return n, c.fail(err)
}

func (c *conn) fail(err error) error {
	if err == nil {
		return nil
	}
	c.s.mu.Lock()
	first := c.first
	if first == nil {
		c.first = err
	}
	if c.namenode {
		c.s.broken = true
	}
	c.s.mu.Unlock()
	c.Close()
	if first != nil {
		// "Closed" would hide why, and that it was ours.
		return fmt.Errorf("the connection to %s broke: %w", c.RemoteAddr(), first)
	}
	return err
}

// The client sets deadlines of its own, mostly none; ours stand.
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

func (c *conn) Close() error {
	c.s.mu.Lock()
	delete(c.s.conns, c)
	c.s.mu.Unlock()
	return c.Conn.Close()
}
