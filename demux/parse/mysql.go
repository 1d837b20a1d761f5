package parse

import (
	"bytes"
	"fmt"
	"regexp"

	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
	"github.com/akupara/akupara/demux/rows"
)

var mysqlParser = simple("mysql", "MySQL's and MariaDB's logs: the error log (5.5 to 8, JSON too), the slow log, a query a row, and the general log", func() format { return newMySQL() }).
	guessed(clue{sure: sureMySQL.Match})

const (
	myThread = iota
	myCode
	mySubsystem
	myUser
	myClient
	myClientIP
	myID
	myDB
	myCommand
	myQueryTime
	myLockTime
	mySent
	myExamined
)

// mysqlFormat parses the logs of MySQL and MariaDB ("MySQL Server Logs" in their
// manuals), each line or query by its form. The slow log's times are in seconds,
// its statement is the message; fields of it beyond these have the columns of their
// names in lower case.
type mysqlFormat struct {
	typedColumns
	extra *keyed
	json  *jsonFormat
	lower []byte
	when  []byte // of "# Time:", for the query that follows
	plan  []byte // of MariaDB's "# explain:", its lines
	seen  times.Zone
}

func newMySQL() *mysqlFormat {
	f := &mysqlFormat{extra: newKeyed(), json: newJSON(), seen: times.AnyZone()}
	f.typedColumns = newTyped(textColumn("thread"), textColumn("error_code"), textColumn("subsystem"), textColumn("user"), textColumn("client"), textColumn("client_ip"),
		longColumn("connection_id"), textColumn("db"), textColumn("command"), doubleColumn("query_time"), doubleColumn("lock_time"),
		longColumn("rows_sent"), longColumn("rows_examined"))
	// The JSON sink's label is the level, and its time is finer than its ts.
	roles := slots()
	for key, as := range map[string]string{"label": "level", "time": "ts", "ts": "time"} {
		f.json.child(f.json.root, []byte(key), 0).slot = roles[as]
	}
	return f
}

func (f *mysqlFormat) begin(r *reader) {
	f.when = f.when[:0]
	f.typedColumns.begin(r)
	f.extra.begin(r)
	f.json.begin(r)
}

// starts implements grouper.
func (f *mysqlFormat) starts(line []byte) bool {
	if len(line) < 8 {
		return false
	}
	switch line[0] {
	case '#':
		return bytes.HasPrefix(line, []byte("# Time: ")) || bytes.HasPrefix(line, []byte("# User@Host: "))
	case '{':
		return true
	case '\t':
		return false
	}
	_, n := mysqlTime(line, &f.seen)
	return n > 0 || mysqlBanner(line)
}

// mysqlBanner reports whether a line is the first of those that begin a slow or a
// general log.
func mysqlBanner(line []byte) bool {
	return line[0] == '/' && bytes.Contains(line[:min(len(line), 512)], []byte(", Version: "))
}

// mysqlTime reads a time at the start of a line: ISO, also with a space for the
// hour's first digit, and yymmdd as in old versions.
func mysqlTime(s []byte, z *times.Zone) (times.Instant, int) {
	if t, n := times.ISO(s, z); n > 0 {
		return t, n
	}
	if len(s) >= 19 && s[4] == '-' && s[10] == ' ' && s[11] == ' ' { // MariaDB: " 9:00:00"
		var padded [19]byte
		copy(padded[:], s)
		padded[11] = '0'
		t, n := times.ISO(padded[:], z)
		return t, n
	}
	if len(s) < 15 || s[6] != ' ' {
		return times.Instant{}, 0
	}
	d := times.Words{S: s, I: 6}
	d.Spaces()
	clock, micros, finer, ok := d.Clock()
	local, fits := times.Seconds(times.Century(times.Digits(s, 0, 2)), times.Digits(s, 2, 2), times.Digits(s, 4, 2), 0, 0, 0)
	if !ok || !fits {
		return times.Instant{}, 0
	}
	return times.Instant{Micros: z.UTC(local+clock)*1_000_000 + micros, Finer: finer, OK: true}, d.I
}

func (f *mysqlFormat) record(r *reader, rec []byte) {
	switch {
	case rec[0] == '{':
		if err := f.json.read(rec); err != nil {
			r.fail(rec, fmt.Sprintf("not mysql: %v", err))
			return
		}
		if !f.json.fill(r) && r.format == f {
			r.noTime()
		}
		if r.b.Level() == rows.NoLevel { // of its label System
			r.b.SetLevel(rows.Info)
		}
	case bytes.HasPrefix(rec, []byte("# ")):
		f.slow(r, rec)
	case mysqlBanner(rec), bytes.HasPrefix(rec, []byte("Tcp port: ")), bytes.HasPrefix(rec, []byte("Time  ")):
	default:
		f.line(r, rec)
	}
}

// line reads a record of the error log or the general log.
func (f *mysqlFormat) line(r *reader, rec []byte) {
	t, n := mysqlTime(rec, &r.zone)
	if n == 0 || n == len(rec) || rec[n] != ' ' && rec[n] != '\t' {
		r.fail(rec, "not mysql: there is no time, at byte 0")
		return
	}
	r.row()
	r.setTime(t, "time", rec[:n])
	s := rec[n:]
	if s[0] == '\t' {
		f.general(r, s)
		return
	}
	s = bytes.TrimLeft(s, " ")
	if w := words.First(s); words.IsNumber(w) || bytes.HasPrefix(w, []byte("0x")) {
		f.put(myThread, w)
		s = bytes.TrimLeft(s[len(w):], " ")
	}
	for i := 0; i < 3 && len(s) > 0 && s[0] == '['; i++ {
		end := bytes.IndexByte(s[:min(len(s), 64)], ']')
		if end < 0 {
			break
		}
		switch in := s[1:end]; {
		case i == 0 && string(in) == "System":
			r.setLevel([]byte("INFO"), "level")
		case i == 0 && levels.Is(in):
			r.setLevel(in, "level")
		case i == 1 && bytes.HasPrefix(in, []byte("MY-")):
			f.put(myCode, in)
		case i == 2:
			f.put(mySubsystem, in)
		default:
			i = 3 // it is part of the message
			continue
		}
		s = bytes.TrimLeft(s[end+1:], " ")
	}
	r.b.Message(s)
}

// general reads "	   8 Query	SELECT 1" behind a time.
func (f *mysqlFormat) general(r *reader, s []byte) {
	s = bytes.TrimLeft(s, "\t ")
	id := words.First(s)
	command, argument, ok := bytes.Cut(bytes.TrimLeft(s[len(id):], " "), []byte("\t"))
	if !words.IsNumber(id) || !ok {
		r.b.Message(s)
		return
	}
	f.put(myID, id)
	f.put(myCommand, bytes.TrimSpace(command))
	r.b.Message(argument)
}

// slow reads a query of the slow log, or the time that stands before one.
func (f *mysqlFormat) slow(r *reader, rec []byte) {
	s := rec
	f.extra.reset()
	f.plan = f.plan[:0]
	var vals [myExamined + 1][]byte
	for len(s) > 0 && s[0] == '#' {
		line := firstLine(s)
		rest := bytes.TrimSpace(line[1:])
		if len(rest) > 0 && line[1] != ' ' { // a statement begins with a comment
			break
		}
		s = s[min(len(s), len(line)+1):]
		switch {
		case len(rest) == 0:
		case bytes.HasPrefix(rest, []byte("explain: ")):
			if len(f.plan) > 0 {
				f.plan = append(f.plan, '\n')
			}
			f.plan = append(f.plan, rest[len("explain: "):]...)
		case bytes.HasPrefix(rest, []byte("Time: ")):
			f.when = append(f.when[:0], bytes.TrimSpace(rest[len("Time: "):])...)
		case bytes.HasPrefix(rest, []byte("User@Host: ")):
			mysqlUser(rest[len("User@Host: "):], &vals)
		default:
			f.pairs(rest, &vals)
		}
	}
	if len(f.plan) > 0 {
		f.extra.add(f.extra.child(f.extra.root, []byte("explain"), len(f.extra.fields)), kindString, f.plan, 0)
	}
	if len(s) == 0 && vals[myUser] == nil && vals[myQueryTime] == nil {
		if !bytes.HasPrefix(rec, []byte("# Time: ")) {
			r.fail(rec, "not mysql: there is neither a time, a user nor a query, at byte 0")
		}
		return // of the query that follows
	}
	r.row()
	timed := false
	for {
		line := firstLine(s)
		rest := s[min(len(s), len(line)+1):]
		if db, ok := bytes.CutPrefix(line, []byte("use ")); ok && len(rest) > 0 {
			vals[myDB] = bytes.Trim(bytes.TrimSuffix(db, []byte(";")), "`")
		} else if at, ok := bytes.CutPrefix(line, []byte("SET timestamp=")); ok {
			at = bytes.TrimSuffix(at, []byte(";"))
			if len(f.when) == 0 {
				r.setTime(times.Epoch(at), "timestamp", at)
				timed = true
			}
		} else {
			break
		}
		s = rest
	}
	if len(f.when) > 0 {
		t, n := mysqlTime(f.when, &r.zone)
		t.OK = t.OK && n == len(f.when)
		r.setTime(t, "time", f.when)
		timed = true
	}
	if !timed && r.format == f {
		r.noTime()
	}
	for i, v := range vals {
		f.put(i, v)
	}
	for i := range f.extra.fields {
		f.extra.put(r, &f.extra.fields[i])
	}
	r.b.Message(bytes.TrimSuffix(s, []byte("\n")))
}

// mysqlUser reads "root[root] @ localhost [127.0.0.1]  Id:     8".
func mysqlUser(s []byte, vals *[myExamined + 1][]byte) {
	if i := bytes.Index(s, []byte("Id:")); i >= 0 {
		vals[myID] = bytes.TrimSpace(s[i+len("Id:"):])
		s = s[:i]
	}
	user, host, _ := bytes.Cut(s, []byte(" @ "))
	if i := bytes.IndexByte(user, '['); i > 0 {
		user = user[:i]
	}
	vals[myUser] = user
	name, address, _ := bytes.Cut(host, []byte("["))
	vals[myClientIP], _, _ = bytes.Cut(address, []byte("]"))
	if vals[myClient] = bytes.TrimSpace(name); len(vals[myClient]) == 0 {
		vals[myClient] = vals[myClientIP]
	}
}

// pairs reads "Query_time: 1.000123  Lock_time: 0.000010 Rows_sent: 1".
func (f *mysqlFormat) pairs(s []byte, vals *[myExamined + 1][]byte) {
	for {
		s = bytes.TrimLeft(s, " ")
		colon := bytes.IndexByte(s, ':')
		if colon <= 0 || colon > 64 || bytes.IndexByte(s[:colon], ' ') >= 0 {
			if len(s) > 0 {
				f.extra.add(f.extra.child(f.extra.root, []byte("comment"), len(f.extra.fields)), kindString, s, 0)
			}
			return
		}
		key := s[:colon]
		s = bytes.TrimLeft(s[colon+1:], " ")
		v := words.First(s)
		if bytes.HasSuffix(v, []byte(":")) { // the next key: this has no value
			continue
		}
		s = s[len(v):]
		switch string(key) {
		case "Query_time":
			vals[myQueryTime] = v
		case "Lock_time":
			vals[myLockTime] = v
		case "Rows_sent":
			vals[mySent] = v
		case "Rows_examined":
			vals[myExamined] = v
		case "Thread_id", "Id":
			vals[myID] = v
		case "Schema":
			vals[myDB] = v
		default:
			f.lower = f.lower[:0]
			for _, c := range key {
				if c >= 'A' && c <= 'Z' {
					c += 'a' - 'A'
				}
				f.lower = append(f.lower, c)
			}
			k, num := bareValue(v)
			f.extra.add(f.extra.child(f.extra.root, f.lower, len(f.extra.fields)), k, v, num)
		}
	}
}

// mysqlLike is what MySQL's and MariaDB's logs of all versions have: 161128 10:00:00,
// 2016-11-28  9:00:00, 2026-02-28T10:00:00.123456Z.
const mysqlLike = `(\d{6}|\d{4}-\d\d-\d\d)[T ] ?\d{1,2}:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?`

// The slow log; the error log, whose old times, with a year of two digits, no other
// program writes; the general log; and the error log as JSON.
var sureMySQL = regexp.MustCompile(`^# (Time|User@Host): |` +
	`^` + mysqlLike + `( (0x)?[0-9a-f]+ \[(Note|Warning|ERROR|System)\] | +((0x)?[0-9a-f]+ )?InnoDB: | mysqld_safe |\t+ *\d+ [A-Z][A-Za-z ]{2,20}(\t|$))|` +
	`^\d{6}  ?\d{1,2}:\d\d:\d\d \[(Note|Warning|ERROR)\] |^\{ "prio" : `)
