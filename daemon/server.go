package daemon

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// ServerConfig is what an HTTP server is made of. Zero values mean the
// defaults given here.
type ServerConfig struct {
	Name    string // for logs and errors: "collector"
	Network string // "tcp" (the default) or "unix"
	Address string // host:port, or the socket's path
	Handler http.Handler
	Log     *slog.Logger
	Health  *Health // fails before the listener closes; may be nil
	Keeper  *Keeper // of its certificates and token; nil: plain HTTP, and whoever reaches it may use it

	ReadTimeout  time.Duration // a request's header and body; 1 min
	WriteTimeout time.Duration // from the header's end to the reply's; 10 min
	Drain        time.Duration // for requests in flight at the end; 5 s
	Lame         time.Duration // between failing health and refusing connections; 0
	MaxHeader    int           // bytes; 64 KiB
	MaxConns     int           // connections at a time, more are closed at once; 0: no bound
}

// Server serves HTTP/1.1.
type Server struct {
	cfg      ServerConfig
	listener net.Listener
}

// NewServer prepares a server; it opens nothing.
func NewServer(cfg ServerConfig) *Server {
	cfg.Network = cmp.Or(cfg.Network, "tcp")
	cfg.ReadTimeout = cmp.Or(cfg.ReadTimeout, time.Minute)
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, 10*time.Minute)
	cfg.Drain = cmp.Or(cfg.Drain, 5*time.Second)
	cfg.MaxHeader = cmp.Or(cfg.MaxHeader, 64<<10)
	return &Server{cfg: cfg}
}

// Listen opens the listener. Run does it where it was not called; call it
// before to learn the address, or to fail early.
//
// It refuses an address that other machines reach where the keeper's access is
// not enough for that. A server without a keeper is not asked for it: what it
// serves is for everybody.
func (s *Server) Listen() error {
	if k := s.cfg.Keeper; k != nil {
		err := k.access.Check(s.cfg.Network, s.cfg.Address)
		if err == nil {
			err = k.Read()
		}
		if err != nil {
			return fmt.Errorf("listen for the %s: %w", s.cfg.Name, err)
		}
	}
	if s.cfg.Network == "unix" {
		if err := removeStaleSocket(s.cfg.Address); err != nil {
			return fmt.Errorf("listen for the %s: %w", s.cfg.Name, err)
		}
	}
	l, err := listenConfig(s.cfg.Network).Listen(context.Background(), s.cfg.Network, s.cfg.Address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen for the %s on %s: %w", s.cfg.Name, s.cfg.Address, ErrAddrInUse)
	} else if err != nil {
		return fmt.Errorf("listen for the %s: %w", s.cfg.Name, err)
	}
	if s.cfg.Network == "unix" {
		if err := os.Chmod(s.cfg.Address, 0o660); err != nil {
			l.Close()
			return fmt.Errorf("listen for the %s: %w", s.cfg.Name, err)
		}
	}
	if k := s.cfg.Keeper; k != nil {
		if err := k.access.checkBound(l.Addr()); err != nil {
			l.Close()
			return fmt.Errorf("listen for the %s: %w", s.cfg.Name, err)
		}
	}
	if s.cfg.MaxConns > 0 {
		l = &boundedListener{Listener: l, most: int64(s.cfg.MaxConns)}
	}
	if k := s.cfg.Keeper; k != nil && k.access.Cert != "" {
		l = tls.NewListener(l, k.tls())
	}
	s.listener = l
	return nil
}

// boundedListener closes connections beyond so many at once: each costs memory
// and a descriptor, which others need as well.
type boundedListener struct {
	net.Listener
	most int64
	open atomic.Int64
}

func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.most {
			return &boundedConn{Conn: c, release: sync.OnceFunc(func() { l.open.Add(-1) })}, nil
		}
		l.open.Add(-1)
		_ = c.Close() // nothing was said on it
	}
}

type boundedConn struct {
	net.Conn
	release func()
}

func (c *boundedConn) Close() error {
	c.release()
	return c.Conn.Close()
}

// listenConfig returns a Unix socket its mode before it has a name: nobody gets in
// between. The umask may take more away; Listen puts that right.
func listenConfig(network string) *net.ListenConfig {
	if network != "unix" {
		return &net.ListenConfig{}
	}
	return &net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if controlErr := c.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), 0o660) }); controlErr != nil {
			return controlErr
		}
		return err
	}}
}

// ErrAddrInUse says that another process listens there.
var ErrAddrInUse = errors.New("the address is in use by another process")

// removeStaleSocket removes a socket that nobody listens on, and nothing else.
func removeStaleSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("%s exists and is not a socket", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return fmt.Errorf("%s: %w", path, ErrAddrInUse)
	}
	return os.Remove(path)
}

// Addr is where the server listens; nil before Listen.
func (s *Server) Addr() net.Addr {
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Run serves until ctx is done. Then health fails, new connections are
// refused, and requests in flight have until the drain's deadline.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	srv := &http.Server{
		Handler:           s.cfg.Handler,
		ReadHeaderTimeout: min(10*time.Second, s.cfg.ReadTimeout),
		ReadTimeout:       s.cfg.ReadTimeout,
		WriteTimeout:      s.cfg.WriteTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    s.cfg.MaxHeader,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
	if s.cfg.Keeper != nil {
		srv.BaseContext = func(net.Listener) context.Context { return withKeeper(context.Background(), s.cfg.Keeper) }
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(s.listener) }()
	s.cfg.Log.Info("listening", "server", s.cfg.Name, "address", s.listener.Addr().String())
	select {
	case err := <-served:
		return fmt.Errorf("serve the %s: %w", s.cfg.Name, err)
	case <-ctx.Done():
	}
	if s.cfg.Health != nil {
		s.cfg.Health.Stop()
		if s.cfg.Lame > 0 {
			time.Sleep(s.cfg.Lame)
		}
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Drain)
	defer cancel()
	if err := srv.Shutdown(drain); err != nil {
		s.cfg.Log.Warn("requests were cut off", "server", s.cfg.Name, "after", s.cfg.Drain)
		srv.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the %s: %w", s.cfg.Name, err)
	}
	return nil
}
