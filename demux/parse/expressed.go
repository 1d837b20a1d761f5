package parse

import (
	"regexp"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/parse/internal/automaton"
	"github.com/akupara/akupara/demux/parse/internal/times"
)

// Formats of one program, each said by expressions as the parser regex takes them. What
// a server says besides is a message.
var (
	squidParser = simple("squid", "Squid's own access.log", func() format {
		return expressed("Squid's access.log", "", longs("elapsed", "status", "size"),
			`^(?P<ts>\d{9,11}\.\d{3}) +(?P<elapsed>-?\d+) (?:-|(?P<client>\S+)) (?P<result>[A-Z_]+)/(?P<status>\d{3}) (?P<size>\d+) `+
				`(?P<method>\S+) (?P<url>\S+) (?:-|(?P<user>\S+)) (?P<hierarchy>[A-Z_]+)/(?:-|(?P<peer>\S+)) (?:-|(?P<content_type>\S+))(?: (?P<extra>.*))?$`)
	}).guessed(clue{sure: regexp.MustCompile(`^\d{9,11}\.\d{3} +-?\d+ \S+ [A-Z_]+/\d{3} \d+ \S+ `).Match})
	xferlogParser = simple("xferlog", "transfers of FTP servers: vsftpd, ProFTPD, wu-ftpd", func() format {
		return expressed("an xferlog", "", longs("elapsed", "size"),
			`^(?P<ts>[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}) (?P<elapsed>\d+) (?P<client>\S+) (?P<size>\d+) (?P<path>.+) `+
				`(?P<transfer>[ab]) (?P<action>\S+) (?P<direction>[oid]) (?P<access>[agr]) (?P<user>\S+) (?P<service>\S+) (?P<authentication>[01]) (?P<authenticated>\S+) (?P<completion>[ci])$`)
	}).guessed(clue{sure: regexp.MustCompile(`^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4} \d+ \S+ \d+ .* [ab] \S+ [oid] [agr] `).Match, names: []string{"xferlog"}})
	uwsgiParser = simple("uwsgi", "requests as uWSGI logs them", func() format {
		return expressed("uWSGI's log", "", longs("pid", "app", "request_id", "status", "size", "duration_ms", "core"),
			`^\[pid: (?P<pid>\d+)\|app: (?P<app>-?\d+)\|req: (?P<request_id>-?\d+)/\d+\] (?P<client>\S*) \((?P<user>[^)]*)\) \{[^}]*\} \[(?P<ts>[^\]]+)\] `+
				`(?P<method>[A-Z]+) (?P<path>.*) => generated (?P<size>\d+) bytes in (?P<duration_ms>\d+) msecs(?: via [^(]*)? ?\((?P<protocol>HTTP/[\d.]+) (?P<status>\d+)\)(?:.* on core (?P<core>\d+)\))?.*$`,
			`(?s)^(?P<message>.*)$`)
	}).guessed(clue{sure: regexp.MustCompile(`^\[pid: \d+\|app: `).Match})
	ginParser = simple("gin", "requests as Go's Gin logs them", func() format {
		return expressed("Gin's log", "2006/01/02 - 15:04:05", longs("status"),
			`^\[GIN\] (?P<ts>\d{4}/\d\d/\d\d - \d\d:\d\d:\d\d) \| *(?P<status>\d+) *\| +(?P<took>\S+) \| +(?P<client>\S*) \| *(?P<method>[A-Z]+) +"(?P<path>[^"]*)"(?:\s+(?P<message>(?s).+))?$`,
			`^\[GIN-debug\] (?:\[(?P<level>[A-Z]+)\] )?(?P<message>(?s).*)$`,
			`(?s)^(?P<message>.*)$`)
	}).guessed(clue{sure: regexp.MustCompile(`^\[GIN(-debug)?\] `).Match})
	werkzeugParser = simple("werkzeug", "requests as Python's http.server, Werkzeug (Flask) and Django's runserver log them", func() format {
		return expressed("the log of a server in Python", "", longs("status", "size"),
			werkzeugHead+`"(?:`+aColour+`)*(?:(?P<method>[A-Z]+) (?P<path>.*) (?P<protocol>HTTP/[\d.]+)|(?P<request>.*?))(?:`+aColour+`)*" (?:-|(?P<status>\d+)) (?:-|(?P<size>\d+))$`,
			werkzeugHead+`(?P<message>(?s).*)$`,
			`(?s)^(?P<message>.*)$`)
	}).guessed(clue{sure: regexp.MustCompile(`^(\S+ - \S+ )?\[\d\d/[A-Z][a-z]{2}/\d{4} \d\d:\d\d:\d\d\] ("|code )`).Match})
)

const (
	werkzeugHead = `^(?:(?P<level>[A-Z]+):(?P<logger>[a-z.]+):)?(?:(?P<client>\S+) - (?:-|(?P<user>\S+)) )?\[(?P<ts>\d\d/[A-Z][a-z]{2}/\d{4} \d\d:\d\d:\d\d)\] `
	aColour      = `\x1b\[[0-9;]*m`
)

// longs are the types of groups that are whole numbers.
func longs(names ...string) map[string]string {
	types := map[string]string{}
	for _, n := range names {
		types[n] = "long"
	}
	return types
}

// expressed makes a format of expressions, of which the first that matches counts. Times
// are of the usual forms, or as timeFormat says.
func expressed(name, timeFormat string, types map[string]string, patterns ...string) format {
	f := &expressionFormat{keyed: newKeyed(), name: name}
	if timeFormat != "" {
		f.times = must(times.Compile(timeFormat))
	}
	for _, text := range patterns {
		re := must(config.CompileRegexp(text))
		e := expression{auto: automaton.New(re)}
		for _, group := range re.SubexpNames()[1:] {
			var c capture
			if group != "" {
				c = must(f.capture(group, types[group]))
				e.timed = e.timed || c.node.role() == roleTime
			}
			e.captures = append(e.captures, c)
		}
		f.exprs = append(f.exprs, e)
	}
	return f
}

// must returns a value of our own that can't fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
