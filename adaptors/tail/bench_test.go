package tail

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// counter is an agent that takes everything and remembers nothing.
type counter struct {
	bytes  atomic.Int64
	want   int64
	cancel func()
}

func (c *counter) Send(_ context.Context, ch *chunk.Chunk) error {
	if c.bytes.Add(int64(len(ch.Body))) >= c.want {
		c.cancel()
	}
	return nil
}
func (c *counter) Known() []adaptors.Stream             { return nil }
func (c *counter) Others() []adaptors.Stream            { return nil }
func (c *counter) Take(string) (adaptors.Stream, error) { return adaptors.Stream{}, adaptors.ErrHeld }
func (c *counter) Release(string)                       {}
func (c *counter) Retype(string) (adaptors.Stream, error) {
	return adaptors.Stream{}, adaptors.ErrHeld
}
func (c *counter) Fresh() bool { return false }
func (c *counter) Open(_ context.Context, s adaptors.Stream) (adaptors.Stream, error) {
	s.ID = "s"
	return s, nil
}
func (c *counter) Update(adaptors.Stream) error     { return nil }
func (c *counter) Sent(string, int64, uint64) error { return nil }
func (c *counter) Forget(string) error              { return nil }

func BenchmarkFileToOutput(b *testing.B) {
	path := filepath.Join(b.TempDir(), "a.log")
	line := []byte(fmt.Sprintf("%0311d\n", 1))
	data := bytes.Repeat(line, 64<<20/len(line))
	if err := os.WriteFile(path, data, 0o644); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		cfg := DefaultConfig()
		cfg.Paths = []config.Glob{config.Glob(path)}
		a, err := New(cfg)
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		c := &counter{want: int64(len(data)), cancel: cancel}
		err = a.Run(ctx, adaptors.Env{Type: "x", Log: slog.New(slog.DiscardHandler), Out: c, Streams: c})
		if err != nil {
			b.Fatal(err)
		}
		if c.bytes.Load() != int64(len(data)) {
			b.Fatalf("%d bytes came, want %d", c.bytes.Load(), len(data))
		}
	}
}
