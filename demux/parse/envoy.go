package parse

import (
	"bytes"
	"regexp"

	"github.com/akupara/akupara/demux/parse/internal/words"
)

var envoyParser = simple("envoy", "Envoy's access logs in its own default format, in Istio's, or in JSON", func() format {
	f := &envoyFormat{own: newPlaced(13, envoyPlaces(0)...), istio: newPlaced(22, envoyPlaces(3)...), mixer: newPlaced(21, envoyPlaces(2)...), json: newJSON()}
	f.json.timeKeys([]string{"start_time"})
	for key, name := range envoyNames {
		f.json.child(f.json.root, []byte(key), 0).name = name
	}
	return f
}).guessed(clue{sure: sureEnvoy.Match})

// envoyPlaces are the fields of a line. Istio has more between flags and bytes: three,
// two in its versions before 1.7; and further ones behind.
func envoyPlaces(more int) []place {
	head := []place{{as: asTime}, {as: asRequest}, {name: "status", as: asLong}, {name: "response_flags"}}
	details := []place{{name: "response_code_details"}, {name: "connection_termination_details"}, {name: "upstream_transport_failure_reason"}}
	if more == 2 {
		details = []place{{name: "mixer_status"}, {name: "upstream_transport_failure_reason"}}
	}
	tail := []place{
		{name: "bytes_received", as: asLong}, {name: "size", as: asLong}, {name: "duration", as: asLong},
		{name: "upstream_service_time", as: asLong}, {name: "x_forwarded_for"}, {name: "user_agent"}, {name: "request_id"},
		{name: "authority"}, {name: "upstream_host"},
	}
	if more == 0 {
		return append(head, tail...)
	}
	return append(append(append(head, details...), tail...),
		place{name: "upstream_cluster"}, place{name: "upstream_local_address"}, place{name: "downstream_local_address"},
		place{name: "client", as: asAddress}, place{name: "requested_server_name"}, place{name: "route_name"})
}

// envoyNames are the columns of keys in JSON, where these are not called as in a line.
var envoyNames = map[string]string{
	"response_code": "status", "bytes_sent": "size", "downstream_remote_address": "client", ":authority": "authority", "x-request-id": "request_id",
	"user-agent": "user_agent", "x-forwarded-for": "x_forwarded_for",
}

// envoyFormat parses Envoy's access logs (Envoy, "Access logging", default format
// string; Istio, meshConfig.accessLogFormat). Columns have the names of its command
// operators, but for those that all access logs have; client is the downstream's
// remote address, size what was sent. Durations are milliseconds. Of a JSON object keys
// become columns as in any other, those of a line under its names, start_time being its
// time.
type envoyFormat struct {
	own, istio, mixer placed
	json              *jsonFormat
}

func (f *envoyFormat) begin(r *reader) { f.json.begin(r) }

func (f *envoyFormat) record(r *reader, rec []byte) {
	if rec[0] == '{' && f.json.read(rec) == nil {
		f.named()
		if !f.json.fill(r) && r.format == f {
			f.json.untimed(r)
		}
		return
	}
	if rec[0] != '[' {
		r.fail(rec, notA("envoy", "want [ at byte 0"))
		return
	}
	why := f.own.split(rec, ' ', escaped)
	if why == "" {
		p := &f.own
		switch n := len(f.own.vals); {
		case n >= f.istio.least:
			p = &f.istio
		case n == f.mixer.least:
			p = &f.mixer
		case n > f.own.least: // quotes within quotes, which nothing escapes
			r.fail(rec, notA("envoy", countedFields(n, f.own.least, f.own.vals[f.own.least].at)))
			return
		}
		p.vals, p.buf = f.own.vals, f.own.buf
		why = p.fill(r, rec, &r.zone)
	}
	if why != "" {
		r.fail(rec, notA("envoy", why))
	}
}

// named gives the fields of an object the values that those of a line have: numbers,
// an address without its port, and nothing for "-".
func (f *envoyFormat) named() {
	j := f.json
	kept := j.fields[:0]
	var port []byte
	for _, d := range j.fields {
		if d.kind == kindString && string(d.val) == "-" {
			continue
		}
		switch d.node.name {
		case "status", "size", "bytes_received", "duration", "upstream_service_time":
			if n, ok := wholeNumber(d.val); ok && d.kind == kindString {
				d.kind, d.num = kindLong, uint64(n)
			}
		case "client":
			if i := bytes.LastIndexByte(d.val, ':'); i > 0 && words.IsNumber(d.val[i+1:]) {
				d.val, port = bytes.Trim(d.val[:i], "[]"), d.val[i+1:]
			}
		}
		kept = append(kept, d)
	}
	j.fields = kept
	if n, ok := wholeNumber(port); ok {
		j.add(j.child(j.root, []byte("client_port"), len(j.fields)), kindLong, port, uint64(n))
	}
}

// sureEnvoy matches a line of the default formats, and JSON with the keys of these.
var sureEnvoy = regexp.MustCompile(`^(\[\d{4}-\d\d-\d\dT\S+\] "\S+ .* \S+" |\{.*"response_flags": ?")`)
