package parse

import (
	"bytes"
	"fmt"
	"regexp"

	"github.com/akupara/akupara/demux/parse/internal/syslog"
	"github.com/akupara/akupara/demux/parse/internal/words"
)

var haproxyParser = simple("haproxy", "HAProxy's HTTP, HTTPS, TCP, default and error logs, with and without the head of syslog", func() format {
	f := &haproxyFormat{head: &syslogFormat{sd: newStructured()}, placed: newPlaced(0, haproxyPlaces...)}
	f.head.inner = haproxyBody{f}
	return f
}).guessed(clue{sure: sureHAProxy.Match})

// haproxyPlaces are the fields of a line, in the order in which vals has them.
var haproxyPlaces = []place{
	hClient: {name: "client"}, {name: "client_port", as: asLong}, hTime: {as: asTime}, hFrontend: {name: "frontend"}, hSSL: {name: "ssl", as: asBare},
	hBackend: {name: "backend"}, hServer: {name: "server"},
	hTimes: {name: "tq", as: asLong}, {name: "tw", as: asLong}, {name: "tc", as: asLong}, {name: "tr", as: asLong}, {name: "tt", as: asLong},
	hStatus: {name: "status", as: asLong}, hSize: {name: "size", as: asLong},
	hCookies: {name: "captured_request_cookie"}, {name: "captured_response_cookie"}, hState: {name: "termination_state"},
	hConns: {name: "actconn", as: asLong}, {name: "feconn", as: asLong}, {name: "beconn", as: asLong}, {name: "srv_conn", as: asLong},
	{name: "retries", as: asLong}, hQueues: {name: "srv_queue", as: asLong}, {name: "backend_queue", as: asLong},
	hHeaders: {name: "captured_request_headers"}, {name: "captured_response_headers"}, hRequest: {as: asRequest},
	hErrors: {name: "fc_err", loose: true}, {name: "ssl_fc_err", loose: true}, {name: "ssl_c_err", loose: true}, {name: "ssl_c_ca_err", loose: true},
	{name: "ssl_fc_is_resumed", loose: true}, hTLS: {name: "sni", loose: true}, {name: "ssl_version", loose: true}, {name: "ssl_cipher", loose: true},
	hMessage: {as: asMessage},
}

const (
	hClient   = 0
	hTime     = hClient + 2
	hFrontend = hTime + 1
	hSSL      = hFrontend + 1
	hBackend  = hSSL + 1
	hServer   = hBackend + 1
	hTimes    = hServer + 1
	hStatus   = hTimes + 5
	hSize     = hStatus + 1
	hCookies  = hSize + 1
	hState    = hCookies + 2
	hConns    = hState + 1
	hQueues   = hConns + 5
	hHeaders  = hQueues + 2
	hRequest  = hHeaders + 2
	hErrors   = hRequest + 1
	hTLS      = hErrors + 5
	hMessage  = hTLS + 3
	hFields   = hMessage + 1
)

// haproxyFormat parses HAProxy's logs (Configuration manual, 8.2 "Log formats"). tq,
// tw, tc, tr and tt are the timers in milliseconds, tq what newer versions call TR,
// and tt what they call Ta; -1 is an event that did not come. A frontend's "~" is the
// column ssl. Where one group of captured headers is there, it is taken for the
// request's. What HAProxy says besides, such as of a server that is down, is a message.
type haproxyFormat struct {
	placed
	head  *syslogFormat
	begun bool // head, in this chunk
}

// haproxyBody parses what is behind the head of syslog.
type haproxyBody struct{ *haproxyFormat }

func (f *haproxyFormat) begin(r *reader) {
	f.begun = false
	f.columns(r)
}

func (f *haproxyFormat) record(r *reader, rec []byte) {
	why := f.read(rec)
	if why != "" && r.format == f && f.headed(r, rec) {
		return
	}
	f.row(r, rec, why)
}

// headed adds the row of a line with the head of syslog, if it has one.
func (f *haproxyFormat) headed(r *reader, rec []byte) bool {
	if rec[0] != '<' {
		if _, n := syslog.HeadTime(rec, &r.zone); n == 0 {
			return false
		}
	}
	if !f.begun {
		f.head.begin(r)
		f.begun = true
	}
	f.head.record(r, rec)
	return true
}

func (f haproxyBody) begin(*reader) {}

func (f haproxyBody) record(r *reader, rec []byte) { f.row(r, rec, f.read(rec)) }

// row adds the row of a line that was read, or not.
func (f *haproxyFormat) row(r *reader, rec []byte, why string) {
	if why == "" {
		why = f.fill(r, rec, &r.zone)
	}
	if why != "" {
		r.fail(rec, notA("haproxy", why))
	}
}

// read takes a line apart, or says why it can't.
func (f *haproxyFormat) read(rec []byte) (why string) {
	f.vals = append(f.vals[:0], make([]value, hFields)...)
	f.buf = f.buf[:0]
	c := cursor{s: rec}
	client := c.word()
	if c.at(0) != '[' {
		return f.saying(rec)
	}
	f.client(client)
	at := c.i
	end := bytes.IndexByte(rec[at:], ']')
	if end < 0 {
		return fmt.Sprintf("the bracket at byte %d is not closed", at)
	}
	f.set(hTime, rec[at+1:at+end], at)
	c.i = at + end + 1
	c.spaces()
	at = c.i
	frontend := c.word()
	if name, failed := bytes.CutSuffix(frontend, []byte(":")); failed || string(c.peekWord()) == ":" {
		if !failed {
			c.word()
		}
		front, _, _ := bytes.Cut(name, []byte("/"))
		f.frontend(front, at)
		f.set(hMessage, c.rest(), c.i)
		return ""
	}
	f.frontend(frontend, at)
	at = c.i
	back, server, ok := bytes.Cut(c.word(), []byte("/"))
	if !ok {
		return fmt.Sprintf("want BACKEND/SERVER at byte %d", at)
	}
	f.set(hBackend, back, at)
	f.set(hServer, server, at)
	return f.counts(&c)
}

func (f *haproxyFormat) set(i int, text []byte, at int) { f.vals[i] = value{text: text, at: at} }

// client reads ADDRESS:PORT, in which an IPv6 address has no brackets.
func (f *haproxyFormat) client(v []byte) {
	if i := bytes.LastIndexByte(v, ':'); i > 0 && words.IsNumber(v[i+1:]) {
		f.set(hClient+1, v[i+1:], i+1)
		v = v[:i]
	}
	f.set(hClient, v, 0)
}

func (f *haproxyFormat) frontend(name []byte, at int) {
	if plain, ok := bytes.CutSuffix(name, []byte("~")); ok {
		f.set(hSSL, trueText, at)
		name = plain
	}
	f.set(hFrontend, name, at)
}

// counts reads timers and what follows them.
func (f *haproxyFormat) counts(c *cursor) (why string) {
	at := c.i
	timers := c.word()
	http := false
	switch bytes.Count(timers, []byte("/")) {
	case 2: // TCP: Tw/Tc/Tt
		f.numbers(hTimes+1, 2, timers, at)
		f.set(hTimes+4, plusless(timers[bytes.LastIndexByte(timers, '/')+1:]), at)
	case 4:
		http = true
		f.numbers(hTimes, 5, timers, at)
	default:
		return fmt.Sprintf("want timers at byte %d, five with / between, or three", at)
	}
	if http {
		f.set(hStatus, c.word(), c.i)
	}
	f.set(hSize, plusless(c.word()), c.i)
	if http {
		f.set(hCookies, c.word(), c.i)
		f.set(hCookies+1, c.word(), c.i)
	}
	f.set(hState, c.word(), c.i)
	at = c.i
	conns := c.word()
	if bytes.Count(conns, []byte("/")) != 4 {
		return fmt.Sprintf("want five numbers of connections at byte %d, with / between", at)
	}
	f.numbers(hConns, 5, conns, at)
	at = c.i
	queues := c.word()
	if bytes.Count(queues, []byte("/")) != 1 {
		return fmt.Sprintf("want two lengths of queues at byte %d, with / between", at)
	}
	f.numbers(hQueues, 2, queues, at)
	return f.captured(c)
}

// numbers reads n numbers with / between.
func (f *haproxyFormat) numbers(i, n int, s []byte, at int) {
	for k := range n {
		var v []byte
		v, s, _ = bytes.Cut(s, []byte("/"))
		f.set(i+k, plusless(v), at)
	}
}

// plusless takes the plus sign off that says that there is more to come.
func plusless(v []byte) []byte { return bytes.TrimPrefix(v, []byte("+")) }

// captured reads captured headers, the request and what is known of TLS.
func (f *haproxyFormat) captured(c *cursor) (why string) {
	for k := 0; k < 2 && c.at(0) == '{'; k++ {
		at := c.i
		end := bytes.IndexByte(c.s[at:], '}')
		if end < 0 {
			return fmt.Sprintf("the brace at byte %d is not closed", at)
		}
		f.set(hHeaders+k, c.s[at+1:at+end], at)
		c.i = at + end + 1
		c.spaces()
	}
	if c.at(0) == '"' {
		at := c.i
		end := bytes.IndexByte(c.s[at+1:], '"')
		if end < 0 { // the line was cut
			end = len(c.s) - at - 1
		}
		f.set(hRequest, c.s[at+1:at+1+end], at)
		c.i = min(at+end+2, len(c.s))
		c.spaces()
	}
	if w := c.peekWord(); bytes.Count(w, []byte("/")) == 4 {
		f.numbers(hErrors, 5, c.word(), c.i)
		f.numbers(hTLS, 3, c.word(), c.i)
	}
	if rest := c.rest(); len(rest) > 0 {
		f.vals = append(f.vals, value{text: rest, at: c.i})
	}
	return ""
}

// sayings are the beginnings of what HAProxy says of itself.
var sayings = [...]string{"Proxy ", "Server ", "Backend ", "Frontend ", "Health check for ", "Pausing ", "Stopping ", "Starting ", "Resuming ", "Connect from ",
	"backend ", "Loading ", "Reloading ", "Exiting ", "New worker ", "Current worker ", "Former worker ", "All workers ", "[NOTICE]", "[WARNING]", "[ALERT]"}

// saying reads a line that is no access's.
func (f *haproxyFormat) saying(rec []byte) (why string) {
	known := false
	for _, s := range sayings {
		known = known || bytes.HasPrefix(rec, []byte(s))
	}
	if !known {
		return "want ADDRESS:PORT and [time] at byte 0"
	}
	f.set(hMessage, rec, 0)
	if rest, ok := bytes.CutPrefix(rec, []byte("Connect from ")); ok {
		c := cursor{s: rest}
		f.client(c.word())
		if i := bytes.LastIndexByte(rest, '('); i >= 0 {
			front, _, _ := bytes.Cut(rest[i+1:], []byte("/"))
			f.frontend(front, i)
		}
	}
	return ""
}

// cursor reads words with spaces between.
type cursor struct {
	s []byte
	i int
}

func (c *cursor) at(k int) byte {
	if c.i+k < len(c.s) {
		return c.s[c.i+k]
	}
	return 0
}

func (c *cursor) spaces() {
	for c.i < len(c.s) && c.s[c.i] == ' ' {
		c.i++
	}
}

// word reads a word and the spaces behind it.
func (c *cursor) word() []byte {
	w := c.peekWord()
	c.i += len(w)
	c.spaces()
	return w
}

func (c *cursor) peekWord() []byte {
	s := c.s[c.i:]
	if n := bytes.IndexByte(s, ' '); n >= 0 {
		return s[:n]
	}
	return s
}

func (c *cursor) rest() []byte { return c.s[c.i:] }

var sureHAProxy = regexp.MustCompile(`:\d{1,5} \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3}\] \S+ `)
