package parse

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

var (
	topParser = simple("top", "what top -b prints: a row for the lines above the table, and one a process, at the time of their sample", func() format {
		return topFormat{&columnarFormat{command: command{name: "top", heads: withWords("PID", "COMMAND"), other: topLine, cells: lastly}}}
	}).guessed(clue{heading: "top - ", start: `^top - `})
	psParser = columnarParser(command{name: "ps", heads: func(line []byte) bool {
		return hasWord(line, "PID") && (hasWord(line, "COMMAND") || hasWord(line, "CMD"))
	}, cells: lastly},
		"what ps prints: aux, -ef and others with a header").guessed(clue{heading: " TIME C"})
	iostatParser = columnarParser(command{name: "iostat", heads: func(line []byte) bool {
		w := words.First(line)
		return len(w) < len(line) && (string(w) == "Device" || string(w) == "Device:" || string(w) == "avg-cpu:")
	}, other: iostatLine},
		"what iostat prints, extended or not: a row a device, and one for the CPUs").guessed(clue{heading: "Device"})
	vmstatParser = columnarParser(command{name: "vmstat", heads: withWords("r", "b"), other: vmstatLine},
		"what vmstat prints").guessed(clue{heading: "swpd"})
	sarParser = columnarParser(command{name: "sar", heads: func([]byte) bool { return false }, other: sarLine},
		"what sar prints, a row a line at its time").guessed(clue{heading: "Linux ", whole: hasLine("Linux ")})
	netstatParser = columnarParser(command{name: "netstat", heads: withWords("Proto"), other: netstatLine, cells: below},
		"what netstat -an prints, of the Internet and of Unix").guessed(clue{heading: "Proto Recv-Q"})
	ssParser = columnarParser(command{name: "ss", heads: withWords("State", "Recv-Q"), cells: below},
		"what ss prints").guessed(clue{heading: "Address:Port"})
	lsofParser = columnarParser(command{name: "lsof", heads: withWords("COMMAND", "PID"), other: lsofLine, cells: below},
		"what lsof prints").guessed(clue{heading: "SIZE/OFF"})
)

// withWords returns what reports whether a line has all these words.
func withWords(all ...string) func([]byte) bool {
	return func(line []byte) bool {
		for _, w := range all {
			if !hasWord(line, w) {
				return false
			}
		}
		return true
	}
}

// hasWord reports whether a line has a word, with spaces or nothing around it.
func hasWord(line []byte, want string) bool {
	for at := 0; ; {
		i := bytes.Index(line[at:], []byte(want))
		if i < 0 {
			return false
		}
		at += i
		end := at + len(want)
		if (at == 0 || line[at-1] == ' ') && (end == len(line) || line[end] == ' ') {
			return true
		}
		at = end
	}
}

// commandNames are the columns that several commands call otherwise.
var commandNames = map[string]string{"uid": "user", "cmd": "command", "local_address_port": "local_address", "peer_address_port": "peer_address"}

// commandPorts are the columns of ports, by those of addresses.
var commandPorts = map[string]string{"local_address": "local_port", "foreign_address": "foreign_port", "peer_address": "peer_port"}

// commandTypes are the types of columns, as the commands document them. Others have
// the type of what comes.
var commandTypes = func() map[string]schema.Type {
	m := map[string]schema.Type{}
	for t, names := range map[schema.Type][]string{
		schema.Long: {"virt", "res", "shr", "swap", "pid", "ppid", "pgid", "sid", "tid", "ni", "vsz", "rss", "c", "recv_q", "send_q", "refcnt", "i_node",
			"r", "b", "swpd", "free", "buff", "cache", "inact", "active", "si", "so", "bi", "bo", "in", "cs", "us", "sy", "id", "wa", "st", "gu"},
		schema.Double: {"tps", "r_s", "w_s", "d_s", "f_s", "rkb_s", "wkb_s", "dkb_s", "rmb_s", "wmb_s", "rrqm_s", "wrqm_s", "drqm_s",
			"r_await", "w_await", "d_await", "f_await", "await", "svctm", "rareq_sz", "wareq_sz", "dareq_sz", "areq_sz", "aqu_sz", "avgqu_sz", "avgrq_sz",
			"kb_read_s", "kb_wrtn_s", "kb_dscd_s", "rtps", "wtps", "dtps", "bread_s", "bwrtn_s", "bdscd_s", "rxpck_s", "txpck_s", "rxkb_s", "txkb_s",
			"proc_s", "cswch_s", "ldavg_1", "ldavg_5", "ldavg_15"},
		schema.String: {"user", "command", "tty", "tt", "stat", "s", "state", "start", "stime", "started", "time", "pr", "device", "cpu",
			"proto", "netid", "local_address", "foreign_address", "peer_address", "pid_program_name", "process", "flags", "type", "path",
			"fd", "node", "name", "size_off", "taskcmd", "iface", "dev", "label", "security_context"},
	} {
		for _, n := range names {
			m[n] = t
		}
	}
	return m
}()

// iostatLine reads a banner, and the time of the tables that follow.
func iostatLine(f *columnarFormat, r *reader, line []byte, _ bool) bool {
	if bytes.HasPrefix(line, []byte("Linux ")) {
		return true
	}
	if t, n := times.ISO(line, &r.zone); n == len(line) {
		f.at, f.stamp = t, append(f.stamp[:0], line...)
		return true
	}
	day, clock, _ := bytes.Cut(line, []byte(" "))
	local, ok := dated(day)
	if !ok {
		return false
	}
	f.day = local
	if t, n := f.clocked(r, clock); n == len(clock) {
		f.at, f.stamp = t, append(f.stamp[:0], line...)
	}
	return true
}

// vmstatLine reads the line above the header, and rows with a time.
func vmstatLine(f *columnarFormat, r *reader, line []byte, add bool) bool {
	if bytes.HasPrefix(line, []byte("procs ")) || bytes.HasPrefix(line, []byte("--procs--")) {
		return true
	}
	if len(line) < 20 || len(f.columns) < 2 || !add {
		return false
	}
	stamp := line[len(line)-19:]
	t, n := times.ISO(stamp, &r.zone)
	if n != len(stamp) || line[len(line)-20] != ' ' {
		return false
	}
	all := f.columns
	if zone := all[len(all)-1].name; commandTypes[zone] == 0 { // the zone's name, or "timestamp"
		f.columns = all[:len(all)-1]
	}
	f.at, f.stamp = t, append(f.stamp[:0], stamp...)
	why := f.row(r, bytes.TrimRight(line[:len(line)-20], " "))
	f.columns, f.at = all, times.Instant{}
	if why != "" {
		r.fail(line, notA(f.name, why))
	}
	return true
}

// sarLine reads all lines of sar: headers and rows begin with a time of day, the
// first line has the day.
func sarLine(f *columnarFormat, r *reader, line []byte, add bool) bool {
	if bytes.HasPrefix(line, []byte("Linux ")) {
		for _, w := range bytes.Fields(line) {
			if local, ok := dated(w); ok {
				f.day = local
			}
		}
		return true
	}
	average := bytes.HasPrefix(line, []byte("Average:"))
	t, n := times.Instant{}, len("Average:")
	if !average {
		if t, n = f.clocked(r, line); n == 0 {
			return false
		}
	}
	rest := bytes.TrimLeft(line[n:], " \t")
	if len(rest) == 0 || bytes.Contains(rest, []byte("RESTART")) {
		if add {
			r.row()
			r.setTime(t, "time", line[:n])
			r.b.Message(rest)
		}
		return true
	}
	if len(rest) <= maxHeading && !hasNumber(rest) {
		f.header(rest)
		return true
	}
	if !add {
		return true
	}
	f.at, f.stamp = t, append(f.stamp[:0], line[:n]...)
	why := f.row(r, rest)
	f.at = times.Instant{}
	switch {
	case why != "":
		r.fail(line, notA(f.name, why))
	case average:
		if c := r.b.Column("average"); c != nil {
			c.Bool(true)
		}
	}
	return true
}

func netstatLine(_ *columnarFormat, _ *reader, line []byte, _ bool) bool {
	return bytes.HasPrefix(line, []byte("Active "))
}

// lsofLine reads warnings, which lsof prints among the rest.
func lsofLine(_ *columnarFormat, r *reader, line []byte, add bool) bool {
	if !bytes.HasPrefix(line, []byte("lsof: WARNING")) && !bytes.HasPrefix(line, []byte("      Output information may be incomplete")) {
		return false
	}
	if add {
		r.row()
		r.b.SetLevel(rows.Warn)
		r.b.Message(line)
	}
	return true
}

// hasLine returns a check of a text: whether a line of it starts so.
func hasLine(start string) func(text []byte) bool {
	return func(text []byte) bool {
		return bytes.HasPrefix(text, []byte(start)) || bytes.Contains(text, []byte("\n"+start))
	}
}
