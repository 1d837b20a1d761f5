package parse

import (
	"maps"
	"slices"

	"github.com/akupara/akupara/demux/schema"
)

// metricsParsers are those of the metrics types.
func metricsParsers() []definition {
	types := metrics()
	out := make([]definition, 0, len(types))
	for _, name := range slices.Sorted(maps.Keys(types)) {
		out = append(out, simple(name, "samples of the metrics type "+name, func() format { return newJSON(types[name]...) }).guessed(clue{kin: kinNone}))
	}
	return out
}

// metrics returns the columns of the metrics types' tables. A sample is one JSON
// object a line, with the time in ts and these keys; a key that is missing is
// null, a further one becomes a column as in any JSON table.
func metrics() map[string][]schema.Column {
	return map[string][]schema.Column{
		// One row for each CPU, and one with cpu "all": percent of the time
		// since the sample before.
		"cpu": concat(columns(schema.String, "cpu"),
			columns(schema.Double, "user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal")),
		// Bytes.
		"memory": columns(schema.Long,
			"total", "available", "used", "free", "cached", "buffers", "swap_total", "swap_used"),
		// Load averages and numbers of processes.
		"load": concat(columns(schema.Double, "load1", "load5", "load15"), columns(schema.Long, "procs_running", "procs_total")),
		// One row for each mounted device: bytes and inodes.
		"disk": concat(columns(schema.String, "device", "mountpoint", "fstype"), columns(schema.Long,
			"total", "used", "free", "inodes_total", "inodes_used")),
		// One row for each interface: totals since the boot.
		"network": concat(columns(schema.String, "interface"), columns(schema.Long,
			"rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "tx_bytes", "tx_packets", "tx_errors", "tx_dropped")),
		// One row for each look at a server, a process, or the agent itself.
		"heartbeat": slices.Concat(columns(schema.String, "name", "kind", "target"), columns(schema.Boolean, "up"),
			columns(schema.Double, "latency_ms"), columns(schema.Long, "status", "running"), columns(schema.String, "error"),
			columns(schema.Double, "uptime_s"), columns(schema.Long, "pid"), columns(schema.String, "version")),
		// One row for each process: cpu is percent of one processor, memory and
		// what was read and written are bytes.
		"process": slices.Concat(columns(schema.Long, "pid", "ppid"), columns(schema.String, "name", "cmdline", "user", "state"),
			columns(schema.Double, "cpu", "cpu_seconds"),
			columns(schema.Long, "rss", "vms", "threads", "fds", "read_bytes", "write_bytes"), columns(schema.String, "started")),
	}
}

func columns(t schema.Type, names ...string) []schema.Column {
	cols := make([]schema.Column, len(names))
	for i, n := range names {
		cols[i] = schema.Column{Name: n, Type: t}
	}
	return cols
}

func concat(a, b []schema.Column) []schema.Column { return append(a, b...) }
