package parse

import (
	"bytes"
	"fmt"

	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/rows"
)

var redisParser = simple("redis", "Redis' and Valkey's log, sentinels' and that of old versions, too", func() format {
	return &redisFormat{typedColumns: newTyped(longColumn("pid"), textColumn("role"))}
})

// redisFormat parses what serverLog writes (redis, src/server.c):
//
//	1234:M 28 Nov 2026 10:00:00.123 * message
//	[1234] 28 Nov 10:00:00.123 * message
//
// The letter is the role. Lines without such a head, as those of its banner, belong
// to the record before.
type redisFormat struct {
	typedColumns
	seen times.Zone
}

// starts implements grouper.
func (f *redisFormat) starts(line []byte) bool {
	f.seen = times.AnyZone()
	h, _ := readRedis(line, &f.seen)
	return h.n > 0
}

type redisHead struct {
	pid, time []byte
	role      string
	at        times.Instant
	level     rows.Level
	n         int // bytes before the message; 0: it is none
}

// readRedis reads a head. Where it is none, it returns what is wrong.
func readRedis(s []byte, z *times.Zone) (h redisHead, why string) {
	n := 0
	bracketed := len(s) > 0 && s[0] == '['
	if bracketed {
		n = 1
	}
	from := n
	for n < len(s) && n < 20 && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	if n == from || n+2 >= len(s) {
		return h, fmt.Sprintf("there is no process id, at byte %d", from)
	}
	h.pid = s[from:n]
	if bracketed {
		if s[n] != ']' || s[n+1] != ' ' {
			return h, fmt.Sprintf("the bracket is not closed, at byte %d", n)
		}
	} else {
		switch {
		case s[n] != ':':
			return h, fmt.Sprintf("there is no role, at byte %d", n)
		case bytes.HasPrefix(s[n:], []byte(":signal-handler (")):
			return signalHandler(s, n, h)
		}
		switch n++; s[n] {
		case 'M':
			h.role = "master"
		case 'S':
			h.role = "replica"
		case 'C':
			h.role = "child"
		case 'X':
			h.role = "sentinel"
		default:
			return h, fmt.Sprintf("%q is no role, at byte %d", s[n], n)
		}
	}
	if n++; n >= len(s) || s[n] != ' ' {
		return h, fmt.Sprintf("there is no time, at byte %d", n)
	}
	n++
	t, k := times.DateTime(s[n:], z)
	if k == 0 {
		t, k = times.ISO(s[n:], z)
	}
	if k == 0 || n+k+2 > len(s) || s[n+k] != ' ' {
		return h, fmt.Sprintf("there is no time, at byte %d", n)
	}
	h.at, h.time = t, s[n:n+k]
	n += k + 1
	switch s[n] {
	case '.', '-':
		h.level = rows.Debug
	case '*':
		h.level = rows.Info
	case '#':
		h.level = rows.Warn
	default:
		return h, fmt.Sprintf("%q is no level, at byte %d", s[n], n)
	}
	if n++; n < len(s) && s[n] == ' ' {
		n++
	}
	h.n = n
	return h, ""
}

// signalHandler reads "1234:signal-handler (1700000000) message", n bytes into it.
func signalHandler(s []byte, n int, h redisHead) (redisHead, string) {
	n += len(":signal-handler (")
	end := bytes.IndexByte(s[n:min(len(s), n+20)], ')')
	if end < 0 {
		return h, fmt.Sprintf("there is no time, at byte %d", n)
	}
	h.at, h.time, h.level = times.Epoch(s[n:n+end]), s[n:n+end], rows.Warn
	if n += end + 1; n < len(s) && s[n] == ' ' {
		n++
	}
	h.n = n
	return h, ""
}

func (f *redisFormat) record(r *reader, rec []byte) {
	h, why := readRedis(rec, &r.zone)
	if h.n == 0 {
		r.fail(rec, "not redis: "+why)
		return
	}
	r.row()
	r.setTime(h.at, "time", h.time)
	r.b.SetLevel(h.level)
	f.put(0, h.pid)
	f.put(1, []byte(h.role))
	r.b.Message(rec[h.n:])
}
