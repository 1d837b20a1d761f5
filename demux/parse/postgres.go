package parse

import (
	"bytes"
	"fmt"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
)

var postgresParser = define("postgres", "PostgreSQL's log: stderr by `prefix` (log_line_prefix), csvlog and jsonlog; details, hints and statements are columns",
	func() postgresOptions { return postgresOptions{} },
	func(o *postgresOptions) (format, error) { return newPostgres(o.Prefix) }).guessed(clue{json: `"error_severity":`})

type postgresOptions struct {
	// Prefix is log_line_prefix as it stands in postgresql.conf. Without it the usual
	// ones are tried.
	Prefix string `config:"prefix"`
}

// Validate implements config.Validator.
func (o *postgresOptions) Validate(n config.Node) config.Problems {
	if _, err := compilePrefix(o.Prefix); err != nil {
		return config.Problems{n.Get("prefix").Problemf("%v", err)}
	}
	return nil
}

// usualPrefixes are the default with Debian's, those that pgBadger recommends, that
// of Amazon's RDS, and none.
var usualPrefixes = [...]string{"%m [%p] %q%u@%d ", "%t [%p]: [%l-1] %quser=%u,db=%d,app=%a,client=%h ", "%t [%p]: %quser=%u,db=%d,app=%a,client=%h ", "%t:%r:%u@%d:[%p]:", ""}

// Columns have the names of jsonlog's keys.
const (
	pgPID = iota
	pgUser
	pgDB
	pgHost
	pgPort
	pgSession
	pgLine
	pgPS
	pgStart
	pgVXID
	pgTXID
	pgSeverity
	pgState
	pgDetail
	pgHint
	pgQuery
	pgQueryAt
	pgContext
	pgStatement
	pgCursor
	pgFunc
	pgFile
	pgFileLine
	pgApp
	pgBackend
	pgLeader
	pgQueryID
	pgDuration
	pgColumns

	pgMessage   = pgColumns     // has no column of its own
	pgTime      = pgColumns + 1 // so does this
	pgLocation  = pgColumns + 2 // function, file and line
	pgBacktrace = pgColumns + 3
	pgNone      = -1
)

// postgresFormat parses PostgreSQL's server log ("Error Reporting and Logging" in
// its manual). On stderr a record is its line and those of the same process that
// say its detail, hint, query, context and statement; where lines of another
// process are between, they are rows of their own. duration is in milliseconds.
type postgresFormat struct {
	typedColumns
	prefixes [][]pgPart
	given    bool // the prefix is the config's
	json     *jsonFormat
	vals     [pgColumns][]byte
	buf      []byte
	parts    []pgSection
	seen     times.Zone
}

// pgSection is a part of a record's text: that from a place in buf on.
type pgSection struct{ as, from int }

func newPostgres(prefix string) (format, error) {
	f := &postgresFormat{json: newJSON(), seen: times.AnyZone(), given: prefix != ""}
	f.typedColumns = newTyped(longColumn("pid"), textColumn("user"), textColumn("dbname"), textColumn("remote_host"), longColumn("remote_port"),
		textColumn("session_id"), longColumn("line_num"), textColumn("ps"), textColumn("session_start"), textColumn("vxid"), longColumn("txid"),
		textColumn("error_severity"), textColumn("state_code"), textColumn("detail"), textColumn("hint"), textColumn("internal_query"),
		longColumn("internal_position"), textColumn("context"), textColumn("statement"), longColumn("cursor_position"), textColumn("func_name"),
		textColumn("file_name"), longColumn("file_line_num"), textColumn("application_name"), textColumn("backend_type"), longColumn("leader_pid"),
		longColumn("query_id"), doubleColumn("duration"))
	all := usualPrefixes[:]
	if f.given {
		all = []string{prefix}
	}
	for _, p := range all {
		parts, err := compilePrefix(p)
		if err != nil {
			return nil, err
		}
		f.prefixes = append(f.prefixes, parts)
	}
	return f, nil
}

func (f *postgresFormat) begin(r *reader) {
	f.typedColumns.begin(r)
	f.json.begin(r)
}

// starts implements grouper: a line that says more of a record belongs to it.
func (f *postgresFormat) starts(line []byte) bool {
	if len(line) == 0 || line[0] == '\t' {
		return false
	}
	if line[0] == '{' || !f.given && isPostgresCSV(line, &f.seen) {
		return true
	}
	h := f.head(line, &f.seen)
	return h.n > 0 && h.as == pgMessage
}

func (f *postgresFormat) record(r *reader, rec []byte) {
	switch {
	case rec[0] == '{':
		line := firstLine(rec)
		f.jsonlog(r, line)
		if n := len(line) + 1; n < len(rec) { // it is no part of the object
			r.markFaulty()
			f.stderr(r, rec, n)
		}
	case !f.given && isPostgresCSV(rec, &r.zone):
		f.csvlog(r, rec)
	default:
		f.stderr(r, rec, 0)
	}
}

// stderr reads the lines of a record from a place on.
func (f *postgresFormat) stderr(r *reader, rec []byte, from int) {
	for at := from; at < len(rec); {
		if at > from {
			r.markFaulty()
		}
		r.further(at)
		h := f.head(firstLine(rec[at:]), &r.zone)
		if h.n == 0 {
			r.fail(rec[at:], fmt.Sprintf("not postgres: %s, at byte %d", h.why, at-from+h.stop))
			break
		}
		at += f.message(r, rec[at:], &h)
	}
}

// message adds the row of the lines that one process wrote at the start of s, the
// head of the first being h, and returns their length.
func (f *postgresFormat) message(r *reader, s []byte, h *pgHead) int {
	f.buf, f.parts = f.buf[:0], append(f.parts[:0], pgSection{as: h.as})
	line := firstLine(s)
	f.buf = append(f.buf, line[h.n:]...)
	n := min(len(s), len(line)+1)
	vals, at, severity := h.vals, h.at, h.severity
	for n < len(s) {
		line = firstLine(s[n:])
		if len(line) > 0 && line[0] != '\t' {
			if next := f.head(line, &r.zone); next.n > 0 {
				if next.as == pgMessage || string(next.vals[pgPID]) != string(vals[pgPID]) {
					break
				}
				f.parts = append(f.parts, pgSection{as: next.as, from: len(f.buf)})
				f.buf = append(f.buf, line[next.n:]...)
				n = min(len(s), n+len(line)+1)
				continue
			}
		}
		f.buf = append(append(f.buf, '\n'), bytes.TrimPrefix(line, []byte("\t"))...)
		n = min(len(s), n+len(line)+1)
	}
	f.vals = vals
	f.vals[pgSeverity] = severity
	var message []byte
	has := false
	for i, p := range f.parts {
		to := len(f.buf)
		if i+1 < len(f.parts) {
			to = f.parts[i+1].from
		}
		text := f.buf[p.from:to:to]
		switch {
		case p.as == pgMessage:
			message, has = text, true
		case p.as == pgLocation:
			f.location(text)
		case p.as < pgColumns:
			f.vals[p.as] = text
		}
	}
	f.row(r, at, h.time, message, has)
	for i, p := range f.parts {
		if p.as == pgBacktrace {
			to := len(f.buf)
			if i+1 < len(f.parts) {
				to = f.parts[i+1].from
			}
			r.b.Attr("backtrace", f.buf[p.from:to])
		}
	}
	return n
}

// row adds the row of vals.
func (f *postgresFormat) row(r *reader, at times.Instant, when, message []byte, has bool) {
	r.row()
	if len(when) > 0 {
		r.setTime(at, "time", when)
	}
	r.setLevel(f.vals[pgSeverity], "level")
	if has {
		r.b.Message(message)
		f.duration(message)
	}
	for i, v := range f.vals {
		f.put(i, v)
	}
}

// duration finds the statement in a message, and how long it took.
func (f *postgresFormat) duration(s []byte) {
	if in, ok := bytes.CutPrefix(s, []byte("duration: ")); ok {
		ms, rest, ok := bytes.Cut(in, []byte(" ms"))
		if !ok || number(ms) == nil {
			return
		}
		f.vals[pgDuration] = ms
		s = bytes.TrimLeft(rest, " ")
	}
	if f.vals[pgStatement] != nil {
		return
	}
	switch string(words.First(s[:min(len(s), 16)])) {
	case "statement:", "execute", "parse", "bind":
		if _, statement, ok := bytes.Cut(s, []byte(": ")); ok {
			f.vals[pgStatement] = statement
		}
	}
}

// location takes "function, file.c:123".
func (f *postgresFormat) location(s []byte) {
	function, place, ok := bytes.Cut(s, []byte(", "))
	if !ok {
		function, place = nil, s
	}
	f.vals[pgFunc] = function
	f.vals[pgFile], f.vals[pgFileLine], _ = bytes.Cut(place, []byte(":"))
}

// remote takes "host(port)" or "host:port".
func (f *postgresFormat) remote(vals *[pgColumns][]byte, s []byte) {
	host, port := s, []byte(nil)
	if i := bytes.LastIndexByte(s, '('); i > 0 && s[len(s)-1] == ')' {
		host, port = s[:i], s[i+1:len(s)-1]
	} else if i := bytes.LastIndexByte(s, ':'); i > 0 && words.IsNumber(s[i+1:]) {
		host, port = s[:i], s[i+1:]
	}
	vals[pgHost], vals[pgPort] = host, port
}

func firstLine(s []byte) []byte {
	if i := bytes.IndexByte(s, '\n'); i >= 0 {
		s = s[:i]
	}
	return bytes.TrimSuffix(s, []byte("\r"))
}
