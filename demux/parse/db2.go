package parse

import (
	"bytes"
	"regexp"

	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

const db2Start = `^\d{4}-\d\d-\d\d-\d\d\.\d\d\.\d\d\.\d{6}[+-]\d{3}\s`

var db2Parser = simple("db2", "Db2's db2diag.log: a row an entry, its fields as columns", func() format { return &db2Format{own: newTyped(db2Columns...)} }).
	guessed(clue{sure: regexp.MustCompile(db2Start).Match, start: db2Start, names: []string{"db2diag*.log"}})

// db2Fields are the fields of an entry, by what stands before their colons, in the order
// of db2Columns.
var (
	db2Fields  = []string{"PID", "TID", "PROC", "INSTANCE", "NODE", "DB", "APPHDL", "APPID", "AUTHID", "HOSTNAME", "EDUID", "EDUNAME", "FUNCTION", "UOWID", "ACTID"}
	db2Columns = append(
		[]schema.Column{longColumn("pid"), longColumn("tid"), textColumn("proc"), textColumn("instance"), textColumn("node"), textColumn("db"), textColumn("apphdl"),
			textColumn("appid"), textColumn("authid"), textColumn("hostname"), longColumn("eduid"), textColumn("eduname"), textColumn("function"), longColumn("uowid"), longColumn("actid")},
		textColumn("record_id"))
	db2Field = regexp.MustCompile(`(PID|TID|PROC|INSTANCE|NODE|DB|APPHDL|APPID|AUTHID|HOSTNAME|EDUID|EDUNAME|FUNCTION|UOWID|ACTID) *: `)
)

// db2Format parses entries of db2diag.log: a line with time, id and level, lines of
// fields, and what is left, from MESSAGE, START, STOP, CHANGE, RETCODE, CALLED or DATA on:
// that is the message.
type db2Format struct {
	own typedColumns
}

func (f *db2Format) begin(r *reader) { f.own.begin(r) }

// starts implements grouper.
func (f *db2Format) starts(line []byte) bool {
	_, n := db2Time(line)
	return n > 0
}

// db2Time reads "2026-02-28-10.00.00.123456+060", whose zone is minutes.
func db2Time(s []byte) (t times.Instant, n int) {
	const length = len("2026-02-28-10.00.00.123456+060")
	if len(s) < length || s[4] != '-' || s[7] != '-' || s[10] != '-' || s[13] != '.' || s[16] != '.' || s[19] != '.' || s[26] != '+' && s[26] != '-' {
		return t, 0
	}
	secs, ok := times.Seconds(times.Digits(s, 0, 4), times.Digits(s, 5, 2), times.Digits(s, 8, 2), times.Digits(s, 11, 2), times.Digits(s, 14, 2), times.Digits(s, 17, 2))
	micros, minutes := times.Digits(s, 20, 6), times.Digits(s, 27, 3)
	if !ok || micros < 0 || minutes < 0 {
		return t, 0
	}
	offset := int64(minutes) * 60
	if s[26] == '-' {
		offset = -offset
	}
	return times.Instant{Micros: (secs-offset)*1_000_000 + int64(micros), OK: true}, length
}

func (f *db2Format) record(r *reader, rec []byte) {
	t, n := db2Time(rec)
	if n == 0 {
		r.fail(rec, notA("db2", "want a time as in 2026-02-28-10.00.00.123456+060, at byte 0"))
		return
	}
	r.row()
	r.setTime(t, "time", rec[:n])
	head := rec[n:lineOf(rec)]
	id, level, _ := bytes.Cut(head, []byte("LEVEL:"))
	f.own.put(len(db2Fields), bytes.TrimSpace(id))
	level = bytes.TrimSpace(level)
	word := words.First(level) // "Error (OS)"
	if string(level) == "Event" {
		r.b.SetLevel(rows.Info)
	} else if levels.Of(word) != rows.NoLevel {
		r.setLevel(word, "level")
		if len(word) < len(level) {
			attr(r, "level", level)
		}
	} else {
		attr(r, "level", level)
	}
	message := rec[lineOf(rec):]
	for len(message) > 0 {
		line := message[:lineOf(message)]
		at := db2Field.FindAllSubmatchIndex(line, -1)
		if len(at) == 0 || at[0][0] != 0 {
			break
		}
		for i, m := range at {
			end := len(line)
			if i+1 < len(at) {
				end = at[i+1][0]
			}
			for k, name := range db2Fields {
				if name == string(line[m[2]:m[3]]) {
					f.own.put(k, bytes.TrimSpace(line[m[1]:end]))
				}
			}
		}
		message = message[len(line):]
	}
	message = bytes.TrimRight(message, " \r\n")
	if rest, ok := bytes.CutPrefix(message, []byte("MESSAGE : ")); ok {
		message = rest
	}
	r.b.Message(message)
}
