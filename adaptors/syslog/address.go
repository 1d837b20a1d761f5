package syslog

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Address is where messages are received: udp://host:port, tcp://host:port,
// tls://host:port, or unix:/path of a datagram socket. An empty host means all
// of the machine's addresses, port 0 any free one.
type Address struct {
	network string // udp, tcp, tls or unix
	address string // host:port, or the socket's path
}

// Want implements config.Wanter.
func (Address) Want() string {
	return "an address, such as udp://0.0.0.0:514, tcp://127.0.0.1:601, tls://[::]:6514 or unix:/dev/log"
}

func (a Address) String() string {
	if a.network == "unix" {
		return "unix:" + a.address
	}
	return a.network + "://" + a.address
}

func (a Address) port() string {
	_, port, _ := net.SplitHostPort(a.address)
	return port
}

// MarshalText implements encoding.TextMarshaler.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Address) UnmarshalText(text []byte) error {
	s := string(text)
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		if !strings.HasPrefix(path, "/") || len(path) > 107 {
			return fmt.Errorf("the socket's path must start with / and have at most 107 bytes")
		}
		*a = Address{"unix", path}
		return nil
	}
	network, address, ok := strings.Cut(s, "://")
	if !ok || network != "udp" && network != "tcp" && network != "tls" {
		return fmt.Errorf("udp://, tcp://, tls:// or unix: must stand before it")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("it has no port, or brackets are missing around an IPv6 address")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("the port %q is no number from 0 to 65535", port)
	}
	if strings.ContainsAny(host, "/ \t@?#") {
		return fmt.Errorf("the host %q has characters that no host has", host)
	}
	*a = Address{network, address}
	return nil
}

// sourceName is what the chunks have as source. A stream of the spool holds
// messages of all listeners, so it is one text for all.
func sourceName(listen []Address) string {
	names := make([]string, len(listen))
	for i, a := range listen {
		names[i] = a.String()
	}
	s := strings.Join(names, " ")
	if len(s) > 4096 {
		s = strings.ToValidUTF8(s[:4096], "")
	}
	return s
}
