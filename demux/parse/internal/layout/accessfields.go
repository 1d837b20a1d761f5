package layout

import (
	"strings"

	"github.com/akupara/akupara/demux/schema"
)

// accessField is a part of an access log's line: a directive of Apache's, or a
// variable of nginx'.
type accessField struct {
	Part
	shape accessShape
	// strptime is a time's form, or a part of one that goes on in the next field.
	strptime string
}

// accessShape is what the text of a field may be.
type accessShape uint8

const (
	shapeText accessShape = iota
	shapeNumber
	shapeNumbers // of several servers
	shapeAddresses
	shapeQuery // with its question mark
	shapeTime
)

func textField(name string) accessField {
	return accessField{Part: Part{Name: name, Type: schema.String}}
}

func numberField(name string, t schema.Type) accessField {
	return accessField{Part: Part{Name: name, Type: t}, shape: shapeNumber}
}

func timeField(strptime string) accessField {
	return accessField{Part: Part{Name: "time", Kind: Time}, shape: shapeTime, strptime: strptime}
}

func addressField(name string) accessField {
	f := textField(name)
	f.shape = shapeAddresses
	return f
}

func requestField() accessField {
	return accessField{Part: Part{Name: "request", Kind: Request}}
}

const apacheTime = "%d/%b/%Y:%H:%M:%S %z"

// apacheTexts and apacheNumbers are directives that mean one thing each.
var (
	apacheTexts = map[byte]string{
		'A': "server_addr", 'f': "file", 'H': "protocol", 'l': "ident", 'L': "log_id", 'm': "method", 'R': "handler",
		'u': "user", 'U': "path", 'v': "vhost", 'V': "vhost", 'X': "connection",
	}
	apacheNumbers = map[byte]string{
		'B': "size", 'b': "size", 'D': "duration_us", 'I': "bytes_received", 'k': "keepalive", 'O': "bytes_sent", 's': "status", 'S': "bytes_total",
	}
	apacheDurations = map[string]string{"": "duration_s", "s": "duration_s", "ms": "duration_ms", "us": "duration_us"}
)

// apacheField returns the field of a directive: its letter, and what stands in
// braces before it.
func apacheField(letter byte, arg string) (f accessField, ok bool) {
	if name := apacheTexts[letter]; name != "" {
		return textField(name), true
	}
	if name := apacheNumbers[letter]; name != "" {
		return numberField(name, schema.Long), true
	}
	switch letter {
	case 'h', 'a':
		if f = addressField("client"); arg == "c" {
			f.Name = "peer"
		}
	case 'C':
		f = textField("cookie_" + columnOf(arg))
	case 'e', 'n', 'x':
		f = textField(columnOf(arg))
	case 'i':
		f = headerField(arg)
	case 'o':
		f = textField("sent_http_" + columnOf(arg))
	case 'p':
		if f = numberField("port", schema.Long); arg == "remote" {
			f.Name = "client_port"
		}
	case 'P':
		if f = numberField("pid", schema.Long); strings.HasSuffix(arg, "tid") {
			f = textField("tid")
		}
	case 'q':
		f = textField("query")
		f.shape = shapeQuery
	case 'r':
		f = requestField()
	case 't':
		return apacheTimeField(arg)
	case 'T':
		f = numberField(apacheDurations[arg], schema.Long)
	}
	return f, f.Name != ""
}

// apacheTimeField returns the field of %{…}t.
func apacheTimeField(arg string) (accessField, bool) {
	arg = strings.TrimPrefix(strings.TrimPrefix(arg, "begin:"), "end:")
	switch arg {
	case "":
		return timeField("[" + apacheTime + "]"), true
	case "sec":
		return timeField("%s"), true
	case "msec":
		return timeField("%Q"), true
	case "usec":
		return timeField("epoch_us"), true
	case "msec_frac":
		return timeField("%L"), true
	case "usec_frac":
		return timeField("%f"), true
	}
	return timeField(arg), strings.ContainsRune(arg, '%')
}

// headerField returns the field of a request's header.
func headerField(name string) accessField {
	switch name = strings.ToLower(name); columnOf(name) {
	case "x_forwarded_for", "x_real_ip":
		return addressField(columnOf(name))
	case "log_host":
		return textField("http_host")
	}
	return textField(columnOf(name))
}

// columnOf makes a column's name of another. Names that all tables have go to ones
// beside them.
func columnOf(name string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		if c != '_' && c != '.' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			c = '_'
		}
		b.WriteRune(c)
	}
	for _, c := range schema.Common() {
		if c.Name == b.String() {
			return "log_" + c.Name
		}
	}
	return b.String()
}

// nginxField returns the field of a variable of nginx.
func nginxField(name string) accessField {
	switch name {
	case "remote_addr":
		return addressField("client")
	case "remote_user":
		return textField("user")
	case "time_local":
		return timeField(apacheTime)
	case "time_iso8601":
		return timeField("rfc3339")
	case "msec":
		return timeField("epoch")
	case "request":
		return requestField()
	case "request_method":
		return textField("method")
	case "request_uri":
		return textField("path")
	case "args", "query_string":
		return textField("query")
	case "server_protocol":
		return textField("protocol")
	case "host":
		return textField("vhost")
	case "body_bytes_sent":
		return numberField("size", schema.Long)
	case "server_port":
		return numberField("port", schema.Long)
	case "remote_port":
		return numberField("client_port", schema.Long)
	case "status", "bytes_sent", "request_length", "content_length", "connection", "connection_requests", "pid":
		return numberField(name, schema.Long)
	case "request_time", "gzip_ratio", "connection_time", "session_time":
		return numberField(name, schema.Double)
	case "upstream_response_time", "upstream_connect_time", "upstream_header_time", "upstream_first_byte_time", "upstream_queue_time":
		return accessField{Part: Part{Name: name, Kind: List, Type: schema.Double}, shape: shapeNumbers}
	case "upstream_response_length", "upstream_bytes_sent", "upstream_bytes_received":
		return accessField{Part: Part{Name: name, Kind: List, Type: schema.Long}, shape: shapeNumbers}
	case "upstream_status":
		return accessField{Part: Part{Name: name, Kind: LastOf, Type: schema.Long}, shape: shapeNumbers}
	case "upstream_addr", "proxy_add_x_forwarded_for":
		return addressField(name)
	}
	if header, ok := strings.CutPrefix(name, "http_"); ok {
		return headerField(header)
	}
	return textField(columnOf(name))
}
