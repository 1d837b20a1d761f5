package layout

import (
	"maps"
	"slices"
	"strings"

	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/schema"
)

// log4jWord is a conversion of log4j, log4j2 or logback.
type log4jWord struct {
	kind wordKind
	name string // of its column
	part Kind
	typ  schema.Type
	expr string
}

type wordKind uint8

const (
	wordPlain wordKind = iota
	wordDate
	wordMessage
	wordNewline
	wordThrowable // an exception: it follows the message, and is part of it
	wordContext
	wordProperty // of the framework, by its key
	wordGroup    // a layout in a layout, colours around it
	wordOptional // one that may be left out
	wordEither   // one that may be replaced by a text
)

// log4jWords are the conversions, under each of their names.
var log4jWords = func() map[string]log4jWord {
	m := map[string]log4jWord{}
	all := func(w log4jWord, names ...string) {
		for _, n := range names {
			m[n] = w
		}
	}
	text := func(name, expr string) log4jWord { return log4jWord{name: name, typ: schema.String, expr: expr} }
	long := func(name string) log4jWord { return log4jWord{name: name, typ: schema.Long, expr: `-?\d*\??`} }
	all(log4jWord{kind: wordDate}, "d", "date")
	all(log4jWord{kind: wordMessage}, "m", "msg", "message", "sm", "wm")
	all(log4jWord{kind: wordNewline}, "n")
	all(log4jWord{kind: wordThrowable}, "ex", "exception", "throwable", "xEx", "xException", "xThrowable", "rEx", "rException", "rThrowable",
		"rootException", "nopex", "nopexception", "wEx", "wex", "xwEx", "ewEx", "stack_trace")
	all(log4jWord{kind: wordContext}, "X", "mdc", "MDC")
	all(log4jWord{kind: wordProperty}, "property")
	all(log4jWord{kind: wordGroup}, "highlight", "style", "clr", "replace", "maxLen", "maxLength", "encode", "enc",
		"black", "red", "green", "yellow", "blue", "magenta", "cyan", "white", "gray", "boldRed", "boldGreen", "boldYellow",
		"boldBlue", "boldMagenta", "boldCyan", "boldWhite")
	all(log4jWord{kind: wordOptional}, "notEmpty", "varsNotEmpty", "variablesNotEmpty")
	all(log4jWord{kind: wordEither}, "equals", "equalsIgnoreCase")
	all(log4jWord{name: "level", part: Level, expr: `[A-Za-z][\w-]*`}, "p", "level", "le")
	all(text("logger", `\S*?`), "c", "logger", "lo")
	all(text("thread", `[^\n]*?`), "t", "thread", "tn", "threadName")
	all(text("class", `[^\s(]*?`), "C", "class")
	all(text("file", `[^\s:()]*?`), "F", "file")
	all(text("method", `[^\s:()]*?`), "M", "method")
	all(text("location", `[^\n]*?`), "l", "location", "caller")
	all(text("ndc", `[^\n]*?`), "x", "NDC", "ndc")
	all(text("kvp", `[^\n]*?`), "kvp")
	all(text("marker", `[^\n]*?`), "marker", "markerSimpleName")
	all(text("pid", `[^\s\]]*`), "pid", "processId", "PID")
	all(text("context", `\S*?`), "contextName", "cn")
	all(text("hostname", `\S*?`), "hostName")
	all(text("uuid", `[0-9A-Fa-f-]*`), "u", "uuid")
	all(text("fqcn", `\S*?`), "fqcn")
	all(long("line"), "L", "line")
	all(long("elapsed_ms"), "r", "relative")
	all(long("sequence"), "sn", "sequenceNumber", "lsn")
	all(long("thread_id"), "T", "tid", "threadId")
	all(long("thread_priority"), "tp", "threadPriority")
	all(long("nanos"), "N", "nano")
	return m
}()

// log4jDates are formats of times by name.
var log4jDates = map[string]string{
	"ISO8601": "iso8601", "DEFAULT": "iso8601", "ISO8601_OFFSET_DATE_TIME_HH": "iso8601", "ISO8601_OFFSET_DATE_TIME_HHMM": "iso8601",
	"ISO8601_OFFSET_DATE_TIME_HHCMM": "iso8601", "ISO8601_PERIOD": "iso8601", "ISO8601_PERIOD_MICROS": "iso8601",
	"DEFAULT_PERIOD": "iso8601", "DEFAULT_MICROS": "iso8601", "DEFAULT_NANOS": "iso8601", "STRICT": "iso8601",
	"ISO8601_BASIC": "yyyyMMdd'T'HHmmss,SSS", "ISO8601_BASIC_PERIOD": "yyyyMMdd'T'HHmmss.SSS",
	"COMPACT": "yyyyMMddHHmmssSSS", "ABSOLUTE": "HH:mm:ss,SSS", "ABSOLUTE_PERIOD": "HH:mm:ss.SSS",
	"ABSOLUTE_MICROS": "HH:mm:ss,SSSSSS", "ABSOLUTE_NANOS": "HH:mm:ss,SSSSSSSSS",
	"DATE": "dd MMM yyyy HH:mm:ss,SSS", "DATE_PERIOD": "dd MMM yyyy HH:mm:ss.SSS",
	"US_MONTH_DAY_YEAR2_TIME": "MM/dd/yy HH:mm:ss.SSS", "US_MONTH_DAY_YEAR4_TIME": "MM/dd/yyyy HH:mm:ss.SSS",
	"UNIX": "epoch", "UNIX_MILLIS": "epoch_ms",
}

// log4jWordNames lists the conversions, for messages.
func log4jWordNames() string {
	return "%" + strings.Join(slices.Sorted(maps.Keys(log4jWords)), ", %")
}

// firstWord returns the letters that s starts with.
func firstWord(s string) string {
	n := 0
	for n < len(s) && (times.LetterOrDigit(s[n]) || s[n] == '_') {
		n++
	}
	return s[:n]
}

// longestWord returns the longest conversion that s starts with, and its length.
func longestWord(s string) (string, int) {
	w := firstWord(s)
	for n := len(w); n > 0; n-- {
		if _, known := log4jWords[w[:n]]; known {
			return w[:n], n
		}
	}
	return "", 0
}
