package parse

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/akupara/akupara/demux/parse/internal/times"
)

// isPostgresCSV reports whether a line begins with a time and a comma.
func isPostgresCSV(line []byte, z *times.Zone) bool {
	_, n := times.ISO(line, z)
	return n > 0 && n < len(line) && line[n] == ','
}

// csvColumns are the fields of csvlog, in their order.
var csvColumns = [...]int{pgTime, pgUser, pgDB, pgPID, pgHost, pgSession, pgLine, pgPS, pgStart, pgVXID, pgTXID, pgSeverity, pgState, pgMessage,
	pgDetail, pgHint, pgQuery, pgQueryAt, pgContext, pgStatement, pgCursor, pgLocation, pgApp, pgBackend, pgLeader, pgQueryID}

func (f *postgresFormat) csvlog(r *reader, rec []byte) {
	f.vals = [pgColumns][]byte{}
	f.buf = f.buf[:0]
	var when, message []byte
	k := 0
	for at := 0; at <= len(rec); k++ {
		v, n := f.csvField(rec[at:])
		if n < 0 || k == len(csvColumns) {
			r.fail(rec, "not postgres: csvlog has no such field, at byte "+strconv.Itoa(at))
			return
		}
		switch as := csvColumns[k]; as {
		case pgTime:
			when = v
		case pgMessage:
			message = v
		case pgHost:
			f.remote(&f.vals, v)
		case pgLocation:
			f.location(v)
		default:
			f.vals[as] = v
		}
		at += n + 1
	}
	if k < 14 {
		r.fail(rec, fmt.Sprintf("not postgres: csvlog has 23 fields or more, this has %d, at byte %d", k, len(rec)))
		return
	}
	t, _ := times.ISO(when, &r.zone)
	f.row(r, t, when, message, true)
}

// csvField returns the field that s starts with, and its length; -1 where its quotes
// are not closed.
func (f *postgresFormat) csvField(s []byte) ([]byte, int) {
	if len(s) == 0 || s[0] != '"' {
		if i := bytes.IndexByte(s, ','); i >= 0 {
			return s[:i], i
		}
		return s, len(s)
	}
	doubled := false
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			doubled = true
			i++
			continue
		}
		if i+1 < len(s) && s[i+1] != ',' {
			return nil, -1
		}
		v := s[1:i]
		if doubled {
			from := len(f.buf)
			for k := 0; k < len(v); k++ {
				f.buf = append(f.buf, v[k])
				if v[k] == '"' {
					k++
				}
			}
			v = f.buf[from:len(f.buf):len(f.buf)]
		}
		return v, i + 1
	}
	return nil, -1
}

// jsonlog reads an object of jsonlog; one of another writer is read as JSON is.
func (f *postgresFormat) jsonlog(r *reader, rec []byte) {
	j := f.json
	if err := j.read(rec); err != nil {
		r.fail(rec, fmt.Sprintf("not postgres: %v", err))
		return
	}
	f.vals = [pgColumns][]byte{}
	var when, message []byte
	has := false
	for i := range j.fields {
		switch d := &j.fields[i]; d.node.name {
		case "timestamp":
			when = d.val
		case "message":
			message, has = d.val, true
		case "error_severity":
			f.vals[pgSeverity] = d.val
		}
	}
	if f.vals[pgSeverity] == nil {
		if !j.fill(r) && r.format == f {
			r.noTime()
		}
		return
	}
	f.row(r, times.Text(when, &r.zone), when, message, has)
	for i := range j.fields {
		switch d := &j.fields[i]; d.node.name {
		case "timestamp", "message", "error_severity":
		case "statement":
			if f.vals[pgStatement] == nil {
				j.put(r, d)
			}
		default:
			j.put(r, d)
		}
	}
}
