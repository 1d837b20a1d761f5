package parse

import (
	"bytes"
	"strings"

	"github.com/akupara/akupara/demux/parse/internal/times"
)

var (
	w3cParser = define("w3c", "W3C's extended log format, as servers and proxies write it; its fields by `#Fields`, else by `fields`",
		noFields, func(o *fieldsOptions) (format, error) {
			return &w3cFormat{name: "w3c", given: o.Fields, quotes: doubled, coding: plused}, o.check()
		}).guessed(clue{heading: "#Fields:", options: w3cFields})
	elfParser = define("elf", "another name of w3c: the Extended Log File Format",
		noFields, func(o *fieldsOptions) (format, error) {
			return &w3cFormat{name: "elf", given: o.Fields, quotes: doubled, coding: plused}, o.check()
		}).guessed(clue{kin: kinNone})
	iisParser = define("iis", "IIS's W3C logs; without `#Fields` and `fields` those of its defaults",
		noFields, func(o *fieldsOptions) (format, error) {
			return &w3cFormat{name: "iis", given: orNames(o.Fields, iisDefault), quotes: doubled, coding: plused, millis: true}, o.check()
		}).guessed(clue{heading: "#Software: Microsoft Internet Information Services", options: w3cFields, names: []string{"u_ex*.log"}})
	cloudfrontParser = define("cloudfront", "standard logs of AWS CloudFront, their fields as for iis",
		noFields, func(o *fieldsOptions) (format, error) {
			return &w3cFormat{name: "cloudfront", given: orNames(o.Fields, cloudfrontDefault), coding: percent}, o.check()
		}).guessed(clue{heading: " x-edge-location ", options: w3cFields})
)

func noFields() fieldsOptions { return fieldsOptions{} }

// orNames returns what a config gives, or else the names in a text.
func orNames(given []string, fallback string) []string {
	if len(given) > 0 {
		return given
	}
	return strings.Fields(fallback)
}

const iisDefault = "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) " +
	"sc-status sc-substatus sc-win32-status time-taken"

const cloudfrontDefault = "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) " +
	"cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for " +
	"ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields c-port time-to-first-byte " +
	"x-edge-detailed-result-type sc-content-type sc-content-len sc-range-start sc-range-end"

// w3cFormat parses the Extended Log File Format (W3C, WD-logfile-960323): directives
// that begin with # and give no rows, and records of the fields that the last #Fields
// names, with tabs or spaces between. Columns have the names of fields in lower case,
// an underscore for each other sign, but for those that all access logs have: client,
// user, method, path, query, protocol, status, size, referer, user_agent. Times are
// UTC.
type w3cFormat struct {
	placed
	name   string
	given  []string // the fields, where no directive names them
	quotes quoting
	coding coding // of what headers hold
	millis bool   // time-taken is a whole number
	utc    times.Zone
	// heading is what the last #Fields says.
	heading []byte
}

func (f *w3cFormat) begin(r *reader) {
	f.utc = utcZone(r)
	f.day = f.day[:0]
	f.use(f.given)
}

// use has the fields that follow be these.
func (f *w3cFormat) use(names []string) {
	f.heading = f.heading[:0]
	f.places, f.gen = f.places[:0], nil
	for _, n := range names {
		f.places = append(f.places, f.place(strings.ToLower(n)))
	}
	f.least = len(names)
}

// place returns what a field is.
func (f *w3cFormat) place(field string) place {
	switch field {
	case "date":
		return place{as: asDate}
	case "time":
		return place{as: asClock}
	case "c-ip":
		return place{name: "client"}
	case "cs-username":
		return place{name: "user", coding: f.coding}
	case "cs-method":
		return place{name: "method"}
	case "cs-uri-stem", "cs-uri":
		return place{name: "path"}
	case "cs-uri-query":
		return place{name: "query"}
	case "cs-version", "cs-protocol-version":
		return place{name: "protocol"}
	case "sc-status":
		return place{name: "status", as: asLong}
	case "sc-bytes":
		return place{name: "size", as: asLong}
	case "cs(referer)":
		return place{name: "referer"}
	case "cs(user-agent)":
		return place{name: "user_agent", coding: f.coding}
	case "time-taken":
		if f.millis {
			return place{name: "time_taken", as: asLong}
		}
		return place{name: "time_taken", as: asDouble}
	case "time-to-first-byte":
		return place{name: "time_to_first_byte", as: asDouble}
	case "sc-substatus", "sc-win32-status", "cs-bytes", "bytes", "c-port", "s-port", "sc-content-len", "sc-range-start", "sc-range-end",
		"fle-encrypted-fields":
		return place{name: columnName([]byte(field)), as: asLong}
	}
	p := place{name: columnName([]byte(field)), loose: !w3cText[field]}
	prefix, header, _ := strings.Cut(field, "(")
	switch {
	case header != "":
		p.coding = f.coding
	case p.loose && (strings.HasPrefix(prefix, "x-") || !strings.Contains(prefix, "-")):
		p.as = asBare
	}
	return p
}

// w3cText are the texts among the fields that IIS and CloudFront document.
var w3cText = set("s-sitename", "s-computername", "s-ip", "cs-host", "cs(host)", "cs(cookie)", "x-edge-location", "x-edge-result-type",
	"x-edge-request-id", "x-host-header", "cs-protocol", "x-forwarded-for", "ssl-protocol", "ssl-cipher", "x-edge-response-result-type",
	"fle-status", "x-edge-detailed-result-type", "sc-content-type")

func (f *w3cFormat) record(r *reader, rec []byte) {
	if rec[0] == '#' {
		if !f.directive(rec) || r.format != f {
			r.row()
			r.b.Message(rec)
		}
		return
	}
	if len(f.places) == 0 {
		r.fail(rec, notA(f.name, "no #Fields line before it says what its fields are, and neither does the option fields"))
		return
	}
	sep := byte(' ')
	if i := bytes.IndexAny(rec, " \t"); i >= 0 {
		sep = rec[i]
	}
	f.spaces = sep == '\t' // and no plus signs in their stead
	why := f.split(rec, sep, f.quotes)
	if n := len(f.places); why == "" && len(f.vals) > n && f.name != "cloudfront" {
		why = countedFields(len(f.vals), n, f.vals[n].at)
	}
	if why == "" {
		why = f.fill(r, rec, &f.utc)
	}
	if why != "" {
		r.fail(rec, notA(f.name, why))
	}
}

// skipped implements headed.
func (f *w3cFormat) skipped(_ *reader, rec []byte) {
	if rec[0] == '#' {
		f.directive(rec)
	}
}

// directive takes a line for what it says of those that follow. A remark says
// nothing: it is a row.
func (f *w3cFormat) directive(rec []byte) bool {
	name, rest, ok := bytes.Cut(rec[1:], []byte(":"))
	if !ok || len(rec) > maxHeading {
		return false
	}
	switch strings.ToLower(string(bytes.TrimSpace(name))) {
	case "fields":
		if len(rest) > 0 && string(rest) == string(f.heading) {
			return true // as in each of the files that were joined
		}
		words := bytes.Fields(rest)
		names := make([]string, 0, len(words))
		for _, w := range words[:min(len(words), maxFields)] {
			names = append(names, string(w))
		}
		f.use(names)
		f.heading = append(f.heading, rest...)
	case "date":
		if rest = bytes.TrimSpace(rest); len(rest) >= 10 {
			f.day = append(f.day[:0], rest[:10]...)
		}
	case "version", "software", "start-date", "end-date":
	default:
		return false
	}
	return true
}

// w3cFields returns what names the fields of a text by its last #Fields: chunks behind
// the first of a file have none.
func w3cFields(text []byte) string {
	i := bytes.LastIndex(text, []byte("#Fields:"))
	if i < 0 {
		return ""
	}
	line, _, _ := bytes.Cut(text[i+len("#Fields:"):], []byte("\n"))
	return listed("fields", bytes.Fields(line))
}
