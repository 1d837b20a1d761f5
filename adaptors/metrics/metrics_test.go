package metrics

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
)

type sink chan chunk.Chunk

func (s sink) Send(ctx context.Context, c *chunk.Chunk) error {
	own := *c
	own.Body = bytes.Clone(c.Body)
	select {
	case s <- own:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestEachTypeIsSampledWithAllItsKeys(t *testing.T) {
	want := map[string][]string{
		"cpu":     {"ts", "cpu", "user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal"},
		"memory":  {"ts", "total", "available", "used", "free", "cached", "buffers", "swap_total", "swap_used"},
		"load":    {"ts", "load1", "load5", "load15", "procs_running", "procs_total"},
		"disk":    {"ts", "device", "mountpoint", "fstype", "total", "used", "free", "inodes_total", "inodes_used"},
		"network": {"ts", "interface", "rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "tx_bytes", "tx_packets", "tx_errors", "tx_dropped"},
	}
	out := make(sink)
	a, err := New(Config{Every: config.Duration(100 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- a.Run(ctx, adaptors.Env{Out: out, Log: slog.New(slog.DiscardHandler)})
	}()
	for len(want) > 0 {
		var c chunk.Chunk
		select {
		case c = <-out:
		case <-ctx.Done():
			t.Fatalf("no sample came of %v; status %q", want, a.Status().LastErr)
		}
		for line := range bytes.Lines(c.Body) {
			var row map[string]any
			if err := json.Unmarshal(line, &row); err != nil {
				t.Fatalf("%s: %v in %q", c.Type, err, line)
			}
			for _, key := range want[c.Type] {
				if _, ok := row[key]; !ok {
					t.Errorf("%s: key %q is missing in %s", c.Type, key, line)
				}
			}
			ts, err := time.Parse("2006-01-02T15:04:05.000000Z", row["ts"].(string))
			if err != nil || !ts.Equal(c.Time) {
				t.Errorf("%s: ts %v, want the chunk's time %v with microseconds", c.Type, row["ts"], c.Time)
			}
		}
		delete(want, c.Type)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run returned %v when it was stopped, want nil", err)
	}
}

func TestOnlyWhatIsAskedForIsSampled(t *testing.T) {
	out := make(sink, 100)
	a, err := New(Config{Every: config.Duration(time.Hour), Only: []string{"load", "memory"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.round(context.Background(), adaptors.Env{Out: out}, a.samplers); err != nil {
		t.Fatal(err)
	}
	var got []string
	for len(out) > 0 {
		got = append(got, (<-out).Type)
	}
	if want := []string{"memory", "load"}; !slices.Equal(got, want) {
		t.Errorf("sampled %v, want %v", got, want)
	}
}

func TestBadConfigIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"{every: 1ms}":        "at least 100ms",
		"{only: [load, gpu]}": "cpu, memory, load, disk, network",
	} {
		cfg := DefaultConfig()
		n, problems := config.Parse("f", []byte(text))
		if err := append(problems, config.Decode(n, &cfg)...).Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestSharesAddUpAndSurviveCountersThatGoBack(t *testing.T) {
	a := cpu.TimesStat{CPU: "0", User: 10, Idle: 100, Iowait: 5}
	b := cpu.TimesStat{CPU: "0", User: 11, Idle: 103, Iowait: 4}
	row, ok := share(stamp{}, a, b)
	if !ok || row.User != 25 || row.Idle != 75 || row.IOWait != 0 {
		t.Errorf("got %+v, want user 25, idle 75 and iowait 0", row)
	}
	if _, ok := share(stamp{}, b, b); ok {
		t.Error("no time went by, want no row")
	}
}

func TestVirtualAndRepeatedFileSystemsAreLeftOut(t *testing.T) {
	got := onDisk([]disk.PartitionStat{
		{Device: "overlay", Mountpoint: "/", Fstype: "overlay"},
		{Device: "overlay", Mountpoint: "/var/lib/x/merged", Fstype: "overlay"},
		{Device: "proc", Mountpoint: "/proc", Fstype: "proc"},
		{Device: "tmpfs", Mountpoint: "/run", Fstype: "tmpfs"},
		{Device: "/dev/vda1", Mountpoint: "/etc/hosts", Fstype: "ext4"},
		{Device: "/dev/vda1", Mountpoint: "/data", Fstype: "ext4"},
		{Device: "/dev/loop3", Mountpoint: "/snap/x", Fstype: "squashfs"},
		{Device: "host:/export", Mountpoint: "/mnt", Fstype: "nfs4"},
	})
	var points []string
	for _, m := range got {
		points = append(points, m.Mountpoint)
	}
	if want := []string{"/", "/data"}; !slices.Equal(points, want) {
		t.Errorf("kept %v, want %v", points, want)
	}
}

func TestTheExampleInTheReadmeSamples(t *testing.T) {
	cfg, ok := adaptortest.Example(t, Kind()).(*Config)
	if !ok || len(cfg.Only) != len(Types()) {
		t.Fatalf("got %+v, want all types of %v", cfg, Types())
	}
	out := make(sink, 100)
	a, err := New(*cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.round(context.Background(), adaptors.Env{Out: out}, a.samplers); err != nil {
		t.Fatal(err)
	}
	if len(out) < 3 {
		t.Errorf("got samples of %d types, want most of %v", len(out), Types())
	}
}
