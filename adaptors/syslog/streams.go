package syslog

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
)

// streams accepts connections, each of them with many messages.
type streams struct {
	door     *door
	listener net.Listener
	certs    *certs // nil without TLS
}

// Close implements listener.
func (s *streams) Close() error { return s.listener.Close() }

func (s *streams) serve(ctx context.Context, r *receiver) {
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // no descriptor is free, say
			if r.fail("accept: " + err.Error()) {
				r.log.Error("can't accept connections, trying again", "on", s.door.shown(), "error", err)
			}
			pause(ctx, r.times.retry)
			continue
		}
		if r.conns.Add(1) > int64(r.cfg.MaxConns) {
			r.conns.Add(-1)
			_ = conn.Close()
			if s.door.refused.Add(1) == 1 {
				r.log.Warn("a connection was refused, as too many are open", "on", s.door.shown(), "peer", conn.RemoteAddr(), "max_connections", r.cfg.MaxConns)
			}
			continue
		}
		conns.Go(func() {
			defer r.conns.Add(-1)
			s.conn(ctx, r, conn)
		})
	}
}

// conn reads one connection to its end. It is closed once all that came by it
// is stored: a sender that ends its side and waits for ours knows.
func (s *streams) conn(ctx context.Context, r *receiver, conn net.Conn) {
	defer conn.Close()
	// A sender must see that what it sends now is not read.
	raw := conn
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	peer := netip.Addr{}
	if from, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		peer = from.Addr().Unmap().WithZone("")
	}
	if s.certs != nil {
		secured, err := s.handshake(ctx, r, conn)
		if err != nil {
			if ctx.Err() == nil {
				s.door.mu.Lock()
				s.door.handshake = fmt.Sprintf("%v: %v", peer, err)
				s.door.mu.Unlock()
				s.door.handshakes.Add(1)
			}
			return
		}
		conn = secured
		defer conn.Close() // says so to the peer
	}
	c := connection{receiver: r, door: s.door, conn: conn, peer: peer, framer: framer{max: int(r.cfg.MaxMessage)}}
	c.read(ctx)
	if c.last > 0 {
		_ = r.pending.wait(ctx, c.last) // the stop closes it, too
	}
}

func (s *streams) handshake(ctx context.Context, r *receiver, conn net.Conn) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, r.times.handshake)
	defer cancel()
	cfg, err := s.certs.current()
	if err != nil {
		return nil, err
	}
	secured := tls.Server(conn, cfg)
	return secured, secured.HandshakeContext(ctx)
}

// connection is one that is being read.
type connection struct {
	*receiver
	door   *door
	conn   net.Conn
	peer   netip.Addr
	framer framer
	pri    priority // of the message that is being read
	last   uint64   // the pile that has its last message
}

// minBuffer is what a connection has; it grows with its messages.
const minBuffer = 4 << 10

func (c *connection) read(ctx context.Context) {
	longest := c.framer.max + maxDigits + 3
	buf := make([]byte, 0, minBuffer)
	for {
		if c.cfg.Idle > 0 {
			_ = c.conn.SetReadDeadline(time.Now().Add(c.cfg.Idle.Std()))
		}
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, min(2*cap(buf), max(longest, minBuffer))), buf...)
		}
		n, err := c.conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		done, takeErr := c.messages(ctx, buf)
		if takeErr != nil {
			return // it stops, with its output closed
		}
		buf = append(buf[:0], buf[done:]...)
		if len(buf) == 0 && cap(buf) > 16*minBuffer {
			buf = make([]byte, 0, minBuffer)
		}
		if err != nil {
			c.end(ctx, buf, err)
			return
		}
	}
}

// messages takes all that are whole, or pieces of long ones, and gives the
// number of bytes that are done with.
func (c *connection) messages(ctx context.Context, buf []byte) (done int, err error) {
	for {
		from, to, used, p := c.framer.next(buf[done:])
		if used == 0 {
			return done, nil
		}
		if err := c.message(ctx, buf[done+from:done+to], p); err != nil {
			return done, err
		}
		done += used
	}
}

func (c *connection) message(ctx context.Context, msg []byte, p part) error {
	if len(msg) == 0 {
		return nil // some senders end a counted message by a newline as well
	}
	if p == whole || p == first {
		c.pri = priorityOf(msg)
	}
	n, err := c.take(ctx, c.door, c.peer, msg, p, c.pri)
	if err == nil {
		c.last = n
	}
	return err
}

// end takes what came after the last trailer: a message whose sender leaves the
// last one out, or the beginning of one that was cut off.
func (c *connection) end(ctx context.Context, buf []byte, err error) {
	broken := !errors.Is(err, io.EOF)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.door.idle.Add(1)
	}
	if len(buf) > 0 {
		msg, p := c.framer.end(buf, broken)
		_ = c.message(ctx, msg, p)
	}
}

// certs reads the certificate, the key and the clients' authorities, again when
// one of the files was changed.
type certs struct {
	cfg   TLS
	roots adaptors.Roots

	mu     sync.Mutex
	loaded *tls.Config
	stamps [3]time.Time
}

func (c *certs) current() (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var stamps [3]time.Time
	for i, path := range []string{c.cfg.Cert, c.cfg.Key, c.cfg.ClientCA} {
		if info, err := os.Stat(path); err == nil {
			stamps[i] = info.ModTime()
		}
	}
	if c.loaded != nil && stamps == c.stamps {
		return c.loaded, nil
	}
	cfg, err := c.load()
	if err != nil && c.loaded != nil {
		return c.loaded, nil // a pair that is half replaced: the next handshake looks again
	}
	if err == nil {
		c.loaded, c.stamps = cfg, stamps
	}
	return cfg, err
}

func (c *certs) load() (*tls.Config, error) {
	for _, path := range []string{c.cfg.Cert, c.cfg.Key, c.cfg.ClientCA} {
		if path == "" {
			continue
		}
		if err := c.roots.HoldsPath(path); err != nil {
			return nil, fmt.Errorf("load certificate: %w", err)
		}
	}
	pair, err := tls.LoadX509KeyPair(c.cfg.Cert, c.cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("load certificate: %w", err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if c.cfg.ClientCA == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(c.cfg.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("load the clients' authorities: %w", err)
	}
	cfg.ClientCAs, cfg.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("load the clients' authorities: %s holds no certificate", c.cfg.ClientCA)
	}
	return cfg, nil
}
