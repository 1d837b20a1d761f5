package syslog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// door is one address that is listened on, with its counters.
type door struct {
	addr Address

	received, stored atomic.Int64 // bytes of messages
	dropped          atomic.Int64 // datagrams, by the kernel
	truncated        atomic.Int64 // datagrams that were longer than what is read of one
	refused          atomic.Int64 // connections beyond max_connections
	idle             atomic.Int64 // connections that were closed for silence
	handshakes       atomic.Int64 // TLS handshakes that failed
	invalid          atomic.Int64 // chunks that the agent would not take

	mu        sync.Mutex
	local     string // where it really listens
	buffer    int    // bytes of the receive buffer, 0: as wanted
	handshake string // why the last one failed
}

func (d *door) shown() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.local != "" {
		return d.local
	}
	return d.addr.String()
}

func (d *door) opened(local net.Addr, buffer int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.local, d.buffer = d.addr.String(), buffer
	if d.addr.network != "unix" {
		d.local = d.addr.network + "://" + local.String()
	}
}

func (d *door) closed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.local = ""
}

// troubles says what was not received, and why.
func (d *door) troubles(maxConns int) []string {
	var out []string
	for _, t := range []struct {
		n    int64
		text string
	}{
		{d.dropped.Load(), "datagrams were dropped by the kernel, as they came faster than they could be stored"},
		{d.truncated.Load(), "datagrams were longer than what is read of one, and are cut"},
		{d.refused.Load(), fmt.Sprintf("connections were refused, as max_connections (%d) were open", maxConns)},
		{d.idle.Load(), "connections were closed, as nothing came for idle_timeout"},
		{d.invalid.Load(), "chunks of messages were not taken by the agent, and are lost"},
	} {
		if t.n > 0 {
			out = append(out, fmt.Sprintf("%d %s", t.n, t.text))
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.handshakes.Load(); n > 0 {
		out = append(out, fmt.Sprintf("%d TLS handshakes failed, the last one: %s", n, d.handshake))
	}
	if d.buffer > 0 {
		out = append(out, fmt.Sprintf("its receive buffer has %d bytes, less than rcvbuf; the kernel's net.core.rmem_max bounds it", d.buffer))
	}
	return out
}

// open starts to listen.
func (d *door) open(ctx context.Context, r *receiver) (listener, error) {
	switch d.addr.network {
	case "udp":
		return d.openUDP(ctx, r)
	case "unix":
		return d.openUnix(r)
	}
	lc := net.ListenConfig{} // keep-alive is on: a peer that is gone is found
	l, err := lc.Listen(ctx, "tcp", d.addr.address)
	if err != nil {
		return nil, err
	}
	d.opened(l.Addr(), 0)
	s := &streams{door: d, listener: l}
	if d.addr.network == "tls" {
		s.certs = &certs{cfg: *r.cfg.TLS, roots: r.cfg.roots}
		if _, err := s.certs.current(); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return s, nil
}

func (d *door) openUDP(ctx context.Context, r *receiver) (listener, error) {
	got := 0
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return control(raw, func(fd int) error {
			got = readBuffer(fd, int(r.cfg.ReadBuffer))
			// Without it drops are not counted; that is all.
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)
			return nil
		})
	}}
	conn, err := lc.ListenPacket(ctx, "udp", d.addr.address)
	if err != nil {
		return nil, err
	}
	d.opened(conn.LocalAddr(), got)
	return &packets{door: d, udp: conn.(*net.UDPConn)}, nil
}

func control(raw syscall.RawConn, f func(fd int) error) error {
	var err error
	controlErr := raw.Control(func(fd uintptr) { err = f(int(fd)) })
	return errors.Join(controlErr, err)
}

// readBuffer sets the receive buffer; with CAP_NET_ADMIN also beyond the
// kernel's bound. It gives what there is where that is less, else 0.
func readBuffer(fd, want int) int {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, want) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, want)
	}
	got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if got /= 2; err != nil || got >= want { // the kernel tells twice of what holds data
		return 0
	}
	return got
}

// openUnix makes the socket, which everybody on the machine may write to. One
// that a process left behind is replaced.
func (d *door) openUnix(r *receiver) (listener, error) {
	path := d.addr.address
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		other, err := net.Dial("unixgram", path)
		if err == nil {
			_ = other.Close()
			return nil, errors.New("another process listens on it")
		}
		if errors.Is(err, unix.ECONNREFUSED) {
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("remove the socket that was left behind: %w", err)
			}
		}
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	got := 0
	raw, err := conn.SyscallConn()
	if err == nil {
		err = control(raw, func(fd int) error {
			got = readBuffer(fd, int(r.cfg.ReadBuffer))
			return nil
		})
	}
	if err == nil {
		err = os.Chmod(path, 0o666)
	}
	var made fs.FileInfo
	if err == nil {
		made, err = os.Lstat(path)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	d.opened(conn.LocalAddr(), got)
	return &packets{door: d, unix: conn, made: made}, nil
}
