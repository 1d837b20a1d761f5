package metrics

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"
)

// cpuRow is one processor's time between two samples, in percent; "all" is all
// of them together.
type cpuRow struct {
	TS      stamp   `json:"ts"`
	CPU     string  `json:"cpu"`
	User    float64 `json:"user"`
	System  float64 `json:"system"`
	Idle    float64 `json:"idle"`
	Nice    float64 `json:"nice"`
	IOWait  float64 `json:"iowait"`
	IRQ     float64 `json:"irq"`
	SoftIRQ float64 `json:"softirq"`
	Steal   float64 `json:"steal"`
}

// processors remembers the counters of the sample before.
type processors struct{ before map[string]cpu.TimesStat }

func (p *processors) sample(ctx context.Context, now stamp) ([]any, error) {
	total, err := cpu.TimesWithContext(ctx, false)
	if err != nil {
		return nil, err
	}
	each, err := cpu.TimesWithContext(ctx, true)
	if err != nil {
		return nil, err
	}
	for i := range total {
		total[i].CPU = "all"
	}
	before := p.before
	p.before = map[string]cpu.TimesStat{}
	var rows []any
	for _, t := range append(total, each...) {
		t.CPU = strings.TrimPrefix(t.CPU, "cpu")
		p.before[t.CPU] = t
		if b, known := before[t.CPU]; known {
			if row, ok := share(now, b, t); ok {
				rows = append(rows, row)
			}
		}
	}
	return rows, nil
}

// share is what each counter took of the time between two samples; not ok when
// none went by, or a counter went back.
func share(now stamp, a, b cpu.TimesStat) (row cpuRow, ok bool) {
	// Guest time is part of user time already.
	d := [...]float64{b.User - a.User, b.System - a.System, b.Idle - a.Idle, b.Nice - a.Nice,
		b.Iowait - a.Iowait, b.Irq - a.Irq, b.Softirq - a.Softirq, b.Steal - a.Steal}
	sum := 0.0
	for i := range d {
		d[i] = max(d[i], 0) // iowait is known to go back
		sum += d[i]
	}
	if sum <= 0 {
		return row, false
	}
	for i := range d {
		d[i] = math.Round(d[i]/sum*1e5) / 1e3
	}
	return cpuRow{now, b.CPU, d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]}, true
}

// memoryRow is in bytes.
type memoryRow struct {
	TS        stamp  `json:"ts"`
	Total     uint64 `json:"total"`
	Available uint64 `json:"available"`
	Used      uint64 `json:"used"`
	Free      uint64 `json:"free"`
	Cached    uint64 `json:"cached"`
	Buffers   uint64 `json:"buffers"`
	SwapTotal uint64 `json:"swap_total"`
	SwapUsed  uint64 `json:"swap_used"`
}

func memory(ctx context.Context, now stamp) ([]any, error) {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return nil, err
	}
	swapUsed := m.SwapTotal - min(m.SwapFree, m.SwapTotal)
	return []any{memoryRow{now, m.Total, m.Available, m.Used, m.Free, m.Cached, m.Buffers, m.SwapTotal, swapUsed}}, nil
}

type loadRow struct {
	TS      stamp   `json:"ts"`
	Load1   float64 `json:"load1"`
	Load5   float64 `json:"load5"`
	Load15  float64 `json:"load15"`
	Running int     `json:"procs_running"`
	Total   int     `json:"procs_total"`
}

func loadAverage(ctx context.Context, now stamp) ([]any, error) {
	avg, err := load.AvgWithContext(ctx)
	if err != nil {
		return nil, err
	}
	misc, err := load.MiscWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return []any{loadRow{now, avg.Load1, avg.Load5, avg.Load15, misc.ProcsRunning, misc.ProcsTotal}}, nil
}

// diskRow is one file system, in bytes, and its device's counters since boot,
// which not all devices have.
type diskRow struct {
	TS          stamp   `json:"ts"`
	Device      string  `json:"device"`
	Mountpoint  string  `json:"mountpoint"`
	FSType      string  `json:"fstype"`
	Total       uint64  `json:"total"`
	Used        uint64  `json:"used"`
	Free        uint64  `json:"free"`
	InodesTotal uint64  `json:"inodes_total"`
	InodesUsed  uint64  `json:"inodes_used"`
	ReadBytes   *uint64 `json:"read_bytes,omitempty"`
	WriteBytes  *uint64 `json:"write_bytes,omitempty"`
	Reads       *uint64 `json:"reads,omitempty"`
	Writes      *uint64 `json:"writes,omitempty"`
}

func disks(ctx context.Context, now stamp) ([]any, error) {
	mounts, err := disk.PartitionsWithContext(ctx, true)
	if err != nil {
		return nil, err
	}
	counters, err := disk.IOCountersWithContext(ctx)
	failed := []error{err}
	var rows []any
	for _, m := range onDisk(mounts) {
		u, err := disk.UsageWithContext(ctx, m.Mountpoint)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", m.Mountpoint, err))
			continue
		}
		if u.Total == 0 {
			continue
		}
		row := diskRow{TS: now, Device: m.Device, Mountpoint: m.Mountpoint, FSType: m.Fstype,
			Total: u.Total, Used: u.Used, Free: u.Free, InodesTotal: u.InodesTotal, InodesUsed: u.InodesUsed}
		if c, ok := counters[deviceName(m.Device)]; ok {
			row.ReadBytes, row.WriteBytes, row.Reads, row.Writes = &c.ReadBytes, &c.WriteBytes, &c.ReadCount, &c.WriteCount
		}
		rows = append(rows, row)
	}
	return rows, errors.Join(failed...)
}

// deviceName is what the kernel counts a device under: /dev/mapper/x is a link
// to ../dm-0.
func deviceName(device string) string {
	if !strings.HasPrefix(device, "/dev/") {
		return ""
	}
	if target, err := filepath.EvalSymlinks(device); err == nil {
		device = target
	}
	return filepath.Base(device)
}

// onDisk leaves out file systems without a disk of their own, those of other
// machines (asking for their size may hang), and all mounts of a device but
// the one nearest to the root. An overlay counts only as the root, as in a
// container.
func onDisk(mounts []disk.PartitionStat) []disk.PartitionStat {
	best := map[string]int{}
	var out []disk.PartitionStat
	for _, m := range mounts {
		onDevice := strings.HasPrefix(m.Device, "/dev/") && !strings.HasPrefix(m.Device, "/dev/loop")
		if !onDevice && m.Mountpoint != "/" && m.Fstype != "zfs" || virtual(m.Fstype) {
			continue
		}
		if i, twice := best[m.Device]; twice {
			if len(m.Mountpoint) < len(out[i].Mountpoint) {
				out[i] = m
			}
			continue
		}
		best[m.Device] = len(out)
		out = append(out, m)
	}
	return out
}

func virtual(fstype string) bool {
	switch fstype {
	case "squashfs", "iso9660", "udf", "devtmpfs", "proc", "sysfs", "autofs", "nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "glusterfs":
		return true
	}
	return strings.HasPrefix(fstype, "fuse.")
}

// networkRow is one interface's counters since boot.
type networkRow struct {
	TS        stamp  `json:"ts"`
	Interface string `json:"interface"`
	RxBytes   uint64 `json:"rx_bytes"`
	RxPackets uint64 `json:"rx_packets"`
	RxErrors  uint64 `json:"rx_errors"`
	RxDropped uint64 `json:"rx_dropped"`
	TxBytes   uint64 `json:"tx_bytes"`
	TxPackets uint64 `json:"tx_packets"`
	TxErrors  uint64 `json:"tx_errors"`
	TxDropped uint64 `json:"tx_dropped"`
}

func interfaces(ctx context.Context, now stamp) ([]any, error) {
	counters, err := net.IOCountersWithContext(ctx, true)
	if err != nil {
		return nil, err
	}
	var rows []any
	for _, c := range counters {
		rows = append(rows, networkRow{now, c.Name, c.BytesRecv, c.PacketsRecv, c.Errin, c.Dropin,
			c.BytesSent, c.PacketsSent, c.Errout, c.Dropout})
	}
	return rows, nil
}
