package syslog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// sink keeps what is sent, unless it is closed.
type sink struct {
	mu     sync.Mutex
	chunks []chunk.Chunk
	gate   chan struct{} // not nil: Send waits until it is closed
	fails  int           // so many calls of Send fail
}

func (s *sink) Send(ctx context.Context, c *chunk.Chunk) error {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails > 0 {
		s.fails--
		return errors.New("no")
	}
	own := *c
	own.Body, own.Tags, own.Borders = bytes.Clone(c.Body), maps.Clone(c.Tags), slices.Clone(c.Borders)
	own.Stream, own.Last = "s", int64(len(c.Body))
	if err := own.Check(); err != nil {
		return err
	}
	s.chunks = append(s.chunks, own)
	return nil
}

func (s *sink) shut() (open func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := make(chan struct{})
	s.gate = gate
	return sync.OnceFunc(func() { close(gate) })
}

// message is one record with what its chunk says of it.
type message struct{ typ, peer, transport, part, text string }

func (s *sink) messages() []message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []message
	for _, c := range s.chunks {
		for from, to := range c.Records() {
			out = append(out, message{c.Type, c.Tags["peer"], c.Tags["transport"], c.Tags["part"], string(c.Body[from:to])})
		}
	}
	return out
}

func (s *sink) texts() []string {
	var out []string
	for _, m := range s.messages() {
		out = append(out, m.text)
	}
	return out
}

func (s *sink) wait(t *testing.T, n int) []message {
	t.Helper()
	eventually(t, fmt.Sprintf("%d messages", n), func() bool { return len(s.messages()) >= n })
	got := s.messages()
	if len(got) != n {
		t.Fatalf("got %d messages, want %d: %.2000q", len(got), n, got)
	}
	return got
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) { // between two looks
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func decode(t testing.TB, text string) *Config {
	t.Helper()
	n, problems := config.Parse("test", []byte(text))
	cfg := DefaultConfig()
	if err := append(problems, config.Decode(n, &cfg)...).Err(); err != nil {
		t.Fatal(err)
	}
	return &cfg
}

// run starts an adaptor with the config and waits until it listens.
func run(t testing.TB, cfg *Config, out adaptors.Output) (a *Adaptor, stop func()) {
	t.Helper()
	made, err := Kind().New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a = made.(*Adaptor)
	return a, again(t, a, out)
}

func again(t testing.TB, a *Adaptor, out adaptors.Output) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- a.Run(ctx, adaptors.Env{Name: "x", Type: "syslog", Host: "h", Log: slog.New(slog.DiscardHandler), Out: out})
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("Run did not return")
		}
	})
	t.Cleanup(stop)
	eventually(t, "it listens", func() bool {
		for i := range a.doors {
			if at(a, i) == "" {
				return false
			}
		}
		return true
	})
	return stop
}

// at is where door i listens, as net.Dial takes it.
func at(a *Adaptor, i int) string {
	d := a.doors[i]
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.local == "" {
		return ""
	}
	return strings.TrimPrefix(d.local, d.addr.network+"://")
}

// bound changes how much may be pending.
func bound(a *Adaptor, n int) {
	a.pending.mu.Lock()
	defer a.pending.mu.Unlock()
	a.pending.limit = n
}

func dial(t testing.TB, network, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func say(t testing.TB, conn net.Conn, text string) {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			var a *Adaptor
			adaptortest.Test(t, adaptortest.Kind{
				New: func(t *testing.T) adaptors.Adaptor {
					made, err := Kind().New(decode(t, "listen: ["+network+"://127.0.0.1:0]"))
					if err != nil {
						t.Fatal(err)
					}
					a = made.(*Adaptor)
					a.times.grace = 200 * time.Millisecond
					return a
				},
				Feed: func(t *testing.T) {
					var conn net.Conn
					eventually(t, "it listens", func() bool {
						var err error
						if at(a, 0) != "" {
							conn, err = net.Dial(network, at(a, 0))
						}
						return conn != nil && err == nil
					})
					defer conn.Close()
					if network == "tcp" {
						say(t, conn, "<13>hello\n")
						return
					}
					stop := time.Now().Add(time.Minute)
					for from := a.Status().Sources[0].Size; a.Status().Sources[0].Size == from && time.Now().Before(stop); time.Sleep(10 * time.Millisecond) {
						_, _ = conn.Write([]byte("<13>hello")) // a socket that is not open yet refuses it
					}
				},
			})
		})
	}
}

func TestMessagesComeAsTheyWereSentOverEveryTransport(t *testing.T) {
	dir := t.TempDir()
	out := &sink{}
	a, _ := run(t, decode(t, "listen: ['udp://127.0.0.1:0', 'tcp://[::1]:0', 'unix:"+dir+"/log']"), out)
	const rfc5424 = "<34>1 2026-03-01T10:00:00Z host su - ID47 [x@1 k=\"v\"] \xef\xbb\xbf'su root' failed\nfor \xfflonvick"
	say(t, dial(t, "udp", at(a, 0)), rfc5424)
	say(t, dial(t, "tcp", at(a, 1)), fmt.Sprintf("%d %s<13>Oct 11 22:14:15 mymachine x: y\r\n", len(rfc5424), rfc5424))
	say(t, dial(t, "unixgram", dir+"/log"), "<30>Oct 11 22:14:15 app[1]: z\n")
	got := out.wait(t, 4)
	slices.SortStableFunc(got, func(a, b message) int { return strings.Compare(a.transport, b.transport) })
	want := []message{
		{"syslog", "::1", "tcp", "", rfc5424},
		{"syslog", "::1", "tcp", "", "<13>Oct 11 22:14:15 mymachine x: y"},
		{"syslog", "127.0.0.1", "udp", "", rfc5424},
		{"syslog", "", "unix", "", "<30>Oct 11 22:14:15 app[1]: z"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
	for _, c := range out.chunks {
		if want := a.source; c.Source != want || !strings.Contains(want, "unix:"+dir) {
			t.Errorf("source %q, want that of all listeners, %q", c.Source, want)
		}
	}
	if info, err := os.Stat(dir + "/log"); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("the socket: %v, %v; want everybody to write to it", info.Mode(), err)
	}
}

func TestMessagesOfOnePeerAndTypeShareAChunk(t *testing.T) {
	out := &sink{}
	a, _ := run(t, decode(t, "listen: ['tcp://127.0.0.1:0']"), out)
	var text strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&text, "<13>message %d of very many\n", i)
	}
	say(t, dial(t, "tcp", at(a, 0)), text.String())
	out.wait(t, 10000)
	if n := len(out.chunks); n > 100 {
		t.Errorf("%d chunks for 10000 messages, want few", n)
	}
	for i, m := range out.texts() {
		if want := fmt.Sprintf("<13>message %d of very many", i); m != want {
			t.Fatalf("message %d is %q, want %q", i, m, want)
		}
	}
}

func TestRulesNameTheTypes(t *testing.T) {
	out := &sink{}
	a, _ := run(t, decode(t, `
listen: [tcp://127.0.0.1:0]
types:
  - {facility: [auth, authpriv], severity: <=err, type: intrusion}
  - {facility: [4, security, authpriv], type: auth}
  - {severity: ">info", type: debugging}
  - {facility: [user], severity: notice, type: plain}
`), out)
	want := map[string]string{
		"<35>auth.err": "intrusion", "<80>authpriv.emerg": "intrusion", "<36>auth.warning": "auth", "<85>authpriv.notice": "auth",
		"<15>user.debug": "debugging", "<14>user.info": "syslog", "no priority": "plain", "<999>no priority": "plain", "<13>user.notice": "plain",
		"<24>daemon.emerg": "syslog",
	}
	for text := range want {
		say(t, dial(t, "tcp", at(a, 0)), text+"\n")
	}
	for _, m := range out.wait(t, len(want)) {
		if m.typ != want[m.text] {
			t.Errorf("%q is of type %q, want %q", m.text, m.typ, want[m.text])
		}
	}
}

func TestMessageOverTheBoundIsKeptInMarkedPiecesAndTheConnectionGoesOn(t *testing.T) {
	long := "<35>" + strings.Repeat("0123456789", 120)
	for name, send := range map[string]string{
		"newline": "<35>before\n" + long + "\n<35>after\n",
		"counted": fmt.Sprintf("10 <35>before%d %s9 <35>after", len(long), long),
	} {
		t.Run(name, func(t *testing.T) {
			out := &sink{}
			a, _ := run(t, decode(t, "listen: ['tcp://127.0.0.1:0']\nmax_message: 500\ntypes: [{facility: [auth], type: auth}]"), out)
			say(t, dial(t, "tcp", at(a, 0)), send)
			var parts, whole string
			for _, m := range out.wait(t, 5) {
				parts += m.part + " "
				whole += m.text
				if m.typ != "auth" {
					t.Errorf("%.20q is of type %q, want that of its message", m.text, m.typ)
				}
			}
			if want := " first middle last  "; parts != want || whole != "<35>before"+long+"<35>after" {
				t.Errorf("got parts %q of %d bytes, want %q of %d", parts, len(whole), want, len(long)+19)
			}
		})
	}
}

func TestConnectionThatEndsWithinAMessageLeavesItMarked(t *testing.T) {
	out := &sink{}
	a, _ := run(t, decode(t, "listen: ['tcp://127.0.0.1:0']"), out)
	conn := dial(t, "tcp", at(a, 0))
	say(t, conn, "8 <13>full50 <13>cut off")
	_ = conn.Close()
	got := out.wait(t, 2)
	if got[0].text != "<13>full" || got[1].text != "<13>cut off" || got[1].part != "first" {
		t.Errorf("got %q, want the whole one and the other marked as a beginning", got)
	}
}

func TestConnectionIsClosedOnlyWhenAllThatCameByItIsStored(t *testing.T) {
	out := &sink{}
	open := out.shut()
	a, _ := run(t, decode(t, "listen: ['tcp://127.0.0.1:0']"), out)
	conn := dial(t, "tcp", at(a, 0))
	say(t, conn, "<13>a\n<13>b")
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are read", func() bool { return a.Status().LagBytes == 10 })
	_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read: %v before the messages were stored, want a time-out", err)
	}
	open()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read: %d, %v; want the end of the connection", n, err)
	}
	if got := out.texts(); !slices.Equal(got, []string{"<13>a", "<13>b"}) {
		t.Errorf("stored when the connection was closed: %q, want both", got)
	}
}

func TestSendersWaitWhileNothingIsTakenAndNothingIsLost(t *testing.T) {
	out := &sink{}
	open := out.shut()
	a, _ := run(t, decode(t, "listen: ['tcp://127.0.0.1:0']"), out)
	bound(a, 256<<10)
	conn := dial(t, "tcp", at(a, 0)).(*net.TCPConn)
	_ = conn.SetWriteBuffer(64 << 10)
	const n = 200_000
	line := func(i int) string { return fmt.Sprintf("<13>message number %d, which is one of many others\n", i) }
	sent := 0
	waited := false
	var b bytes.Buffer
	for sent < n {
		b.Reset()
		for range 1000 {
			b.WriteString(line(sent))
			sent++
		}
		for b.Len() > 0 {
			_ = conn.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			_, err := b.WriteTo(conn)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				waited = true
				open()
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	if !waited {
		t.Error("the sender never had to wait")
	}
	open()
	for i, m := range out.wait(t, n) {
		if want := line(i); m.text+"\n" != want {
			t.Fatalf("message %d is %q, want %q", i, m.text, want)
		}
	}
}

func TestRefusedChunkIsSentAgain(t *testing.T) {
	out := &sink{fails: 2}
	made, _ := Kind().New(decode(t, "listen: ['tcp://127.0.0.1:0']"))
	a := made.(*Adaptor)
	a.times.retry = 20 * time.Millisecond
	again(t, a, out)
	say(t, dial(t, "tcp", at(a, 0)), "<13>a\n")
	out.wait(t, 1)
	eventually(t, "the error is gone", func() bool { return a.Status().LastErr == "" })
}

func TestWhatCouldNotBeStoredAtAStopIsStoredByTheNextStart(t *testing.T) {
	out := &sink{}
	open := out.shut()
	made, _ := Kind().New(decode(t, "listen: ['tcp://127.0.0.1:0']"))
	a := made.(*Adaptor)
	a.times.grace = 50 * time.Millisecond
	stop := again(t, a, out)
	say(t, dial(t, "tcp", at(a, 0)), "<13>a\n")
	eventually(t, "it is read", func() bool { return a.Status().LagBytes == 5 })
	stop()
	open()
	again(t, a, out)
	out.wait(t, 1)
}

func TestDatagramsThatTheKernelDroppedAreCounted(t *testing.T) {
	out := &sink{}
	open := out.shut()
	cfg := decode(t, "listen: ['udp://127.0.0.1:0']\nrcvbuf: 4KiB")
	a, _ := run(t, cfg, out)
	bound(a, 1)
	conn := dial(t, "udp", at(a, 0))
	for range 1000 {
		say(t, conn, "<13>"+strings.Repeat("x", 500))
	}
	open()
	eventually(t, "drops are told", func() bool {
		say(t, conn, "<13>more")
		s := a.Status().Skipped
		return len(s) > 0 && strings.Contains(s[0].Reason, "were dropped by the kernel")
	})
	eventually(t, "all are accounted for", func() bool {
		say(t, conn, "<13>more") // drops are told with the next datagram that is received
		stored := 0
		for _, m := range out.texts() {
			if strings.HasPrefix(m, "<13>xxx") {
				stored++
			}
		}
		return int(a.doors[0].dropped.Load())+stored >= 1000
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	out := &sink{}
	a, _ := run(t, decode(t, "listen: ['tcp://127.0.0.1:0']\nmax_connections: 2"), out)
	kept := []net.Conn{dial(t, "tcp", at(a, 0)), dial(t, "tcp", at(a, 0))}
	eventually(t, "two are open", func() bool { return a.conns.Load() == 2 })
	third := dial(t, "tcp", at(a, 0))
	_ = third.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := third.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the third connection: %v, want it to be closed", err)
	}
	if s := a.Status().Skipped; len(s) != 1 || !strings.Contains(s[0].Reason, "max_connections (2)") {
		t.Errorf("skipped: %v, want the refused one", s)
	}
	say(t, kept[0], "<13>a\n")
	say(t, kept[1], "<13>b\n")
	out.wait(t, 2)
	_ = kept[0].Close()
	eventually(t, "one is free", func() bool { return a.conns.Load() == 1 })
	say(t, dial(t, "tcp", at(a, 0)), "<13>c\n")
	out.wait(t, 3)
}

func TestSilentConnectionIsClosedAfterItsTime(t *testing.T) {
	out := &sink{}
	cfg := decode(t, "listen: ['tcp://127.0.0.1:0']")
	cfg.Idle = config.Duration(50 * time.Millisecond)
	a, _ := run(t, cfg, out)
	conn := dial(t, "tcp", at(a, 0))
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want the connection to be closed", err)
	}
	eventually(t, "it is told", func() bool { return len(a.Status().Skipped) == 1 })
}

func TestSocketThatAProcessLeftBehindIsReplacedAndOneInUseIsNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	old, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := decode(t, "listen: ['unix:"+path+"']")
	second, _ := New(*cfg)
	err = second.Run(context.Background(), adaptors.Env{Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "another process listens on it") {
		t.Errorf("a socket in use: %v, want it to be refused", err)
	}
	_ = old.Close()
	out := &sink{}
	_, stop := run(t, cfg, out)
	say(t, dial(t, "unixgram", path), "<13>a")
	out.wait(t, 1)
	stop()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket after a stop: %v, want it gone", err)
	}
}

func TestAddressInUseIsAnErrorThatNamesIt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, _ := New(*decode(t, "listen: ['udp://127.0.0.1:0', 'tcp://"+l.Addr().String()+"']"))
	err = a.Run(context.Background(), adaptors.Env{Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "listen on tcp://"+l.Addr().String()) {
		t.Errorf("got %v, want an error that names the address", err)
	}
}

func TestBadConfigIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                        `"listen" is missing`,
		"listen: []":                "it is empty",
		"listen: [':514']":          "must stand before it",
		"listen: ['udp://x']":       "it has no port",
		"listen: ['udp://x:99999']": "no number from 0 to 65535",
		"listen: ['unix:log']":      "must start with /",
		"listen: ['tls://:1']":      `key "tls" is missing`,
		"{listen: ['udp://:1'], tls: {cert: a, key: b}}":                    "no listener is a tls:// one",
		"{listen: ['udp://:1'], tls: {cert: a}}":                            `"key" is missing`,
		"{listen: ['udp://:1', 'udp://:1']}":                                "given twice",
		"{listen: ['udp://:1'], idle_timeout: 1ms}":                         "too short",
		"{listen: ['udp://:1'], max_message: 1}":                            "from 480 to 8MiB",
		"{listen: ['udp://:1'], types: [{facility: [atuh], type: x}]}":      `did you mean "auth"?`,
		"{listen: ['udp://:1'], types: [{facility: [24], type: x}]}":        "is not a facility",
		"{listen: ['udp://:1'], types: [{severity: <emerg, type: x}]}":      "no severity fits it",
		"{listen: ['udp://:1'], types: [{severity: worse, type: x}]}":       "is not a severity",
		"{listen: ['udp://:1'], types: [{severity: err}]}":                  `"type" is missing`,
		"{listen: ['udp://:1'], types: [{severity: err, type: 'No Type'}]}": "must match",
		"{listen: ['udp://:1'], types: [{severity: \"!err\", type: x}]}":    "is not a severity",
	} {
		n, problems := config.Parse("f", []byte(text))
		cfg := DefaultConfig()
		problems = append(problems, config.Decode(n, &cfg)...)
		if err := problems.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
