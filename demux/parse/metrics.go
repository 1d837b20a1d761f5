package parse

import "github.com/akupara/akupara/demux/schema"

// metrics gives the columns of the metrics types' tables. A sample is one JSON
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
