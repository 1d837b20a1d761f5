package syslog

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// What is read of one datagram, at most. UDP allows no more; a unix socket
// allows what its sender's buffer does.
const (
	maxDatagram     = 64 << 10
	maxUnixDatagram = 1 << 20
)

// packets reads datagrams, each of them one message.
type packets struct {
	door *door
	udp  *net.UDPConn // or
	unix *net.UnixConn
	made fs.FileInfo // of the unix socket
}

// Close implements listener.
func (p *packets) Close() error {
	if p.udp != nil {
		return p.udp.Close()
	}
	if info, err := os.Lstat(p.door.addr.address); err == nil && os.SameFile(info, p.made) {
		_ = os.Remove(p.door.addr.address) // else the next start does
	}
	return p.unix.Close()
}

func (p *packets) serve(ctx context.Context, r *receiver) {
	size := maxDatagram
	if p.unix != nil {
		size = maxUnixDatagram
	}
	buf, oob := make([]byte, size), make([]byte, 128)
	base := p.door.dropped.Load() // by the sockets of earlier runs
	for ctx.Err() == nil {
		n, oobn, truncated, peer, err := p.read(buf, oob)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			if r.fail("receive: " + err.Error()) {
				r.log.Error("can't receive messages, trying again", "from", p.door.shown(), "error", err)
			}
			pause(ctx, r.times.retry)
			continue
		}
		if drops, ok := overflow(oob[:oobn]); ok {
			p.door.dropped.Store(base + int64(drops))
		}
		if truncated {
			p.door.truncated.Add(1)
		}
		p.message(ctx, r, buf[:n], peer)
	}
}

func (p *packets) read(buf, oob []byte) (n, oobn int, truncated bool, peer netip.Addr, err error) {
	var flags int
	if p.udp != nil {
		var from netip.AddrPort
		n, oobn, flags, from, err = p.udp.ReadMsgUDPAddrPort(buf, oob)
		return n, oobn, flags&unix.MSG_TRUNC != 0, from.Addr().Unmap().WithZone(""), err
	}
	n, oobn, flags, _, err = p.unix.ReadMsgUnix(buf, oob)
	return n, oobn, flags&unix.MSG_TRUNC != 0, netip.Addr{}, err
}

func (p *packets) message(ctx context.Context, r *receiver, msg []byte, peer netip.Addr) {
	pri := priorityOf(msg)
	pieces(msg, int(r.cfg.MaxMessage), func(piece []byte, pt part) bool {
		_, err := r.take(ctx, p.door, peer, piece, pt, pri)
		return err == nil // else the adaptor stops
	})
}

// overflow returns how many datagrams a socket dropped since it was made
// (SO_RXQ_OVFL in socket(7)). The kernel tells once there are some.
func overflow(oob []byte) (uint32, bool) {
	if len(oob) == 0 {
		return 0, false
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0, false
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_RXQ_OVFL && len(m.Data) >= 4 {
			return binary.NativeEndian.Uint32(m.Data), true
		}
	}
	return 0, false
}

// pause waits, or for ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
