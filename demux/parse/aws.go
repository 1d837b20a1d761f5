package parse

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/akupara/akupara/demux/parse/internal/times"
)

var (
	albParser = simple("alb", "access logs of AWS' Application Load Balancer", func() format {
		return &awsFormat{name: "alb", placed: newPlaced(13,
			place{name: "type"}, place{as: asTime}, place{name: "elb"},
			place{name: "client", as: asAddress}, place{name: "target", as: asAddress},
			place{name: "request_processing_time", as: asDouble}, place{name: "target_processing_time", as: asDouble},
			place{name: "response_processing_time", as: asDouble},
			place{name: "status", as: asLong}, place{name: "target_status_code", as: asLong},
			place{name: "received_bytes", as: asLong}, place{name: "size", as: asLong},
			place{as: asURL}, place{name: "user_agent"}, place{name: "ssl_cipher"}, place{name: "ssl_protocol"},
			place{name: "target_group_arn"}, place{name: "trace_id"}, place{name: "domain_name"}, place{name: "chosen_cert_arn"},
			place{name: "matched_rule_priority", as: asLong}, place{name: "request_creation_time", as: asStamp},
			place{name: "actions_executed"}, place{name: "redirect_url"}, place{name: "error_reason"},
			place{name: "target_port_list"}, place{name: "target_status_code_list"},
			place{name: "classification"}, place{name: "classification_reason"}, place{name: "conn_trace_id"},
			place{name: "transformed_host"}, place{name: "transformed_uri"}, place{name: "request_transform_status"},
		)}
	}).guessed(clue{sure: sureALB.Match})
	elbParser = simple("elb", "access logs of AWS' Classic Load Balancer", func() format {
		return &awsFormat{name: "elb", placed: newPlaced(12,
			place{as: asTime}, place{name: "elb"},
			place{name: "client", as: asAddress}, place{name: "backend", as: asAddress},
			place{name: "request_processing_time", as: asDouble}, place{name: "backend_processing_time", as: asDouble},
			place{name: "response_processing_time", as: asDouble},
			place{name: "status", as: asLong}, place{name: "backend_status_code", as: asLong},
			place{name: "received_bytes", as: asLong}, place{name: "size", as: asLong},
			place{as: asURL}, place{name: "user_agent"}, place{name: "ssl_cipher"}, place{name: "ssl_protocol"},
		)}
	}).guessed(clue{sure: sureELB.Match})
	s3Parser = simple("s3", "server access logs of Amazon S3", func() format {
		f := &awsFormat{name: "s3", placed: newPlaced(17,
			place{name: "bucket_owner"}, place{name: "bucket"}, place{as: asTime}, place{name: "client"}, place{name: "user"},
			place{name: "request_id"}, place{name: "operation"}, place{name: "key"}, place{as: asRequest},
			place{name: "status", as: asLong}, place{name: "error_code"}, place{name: "size", as: asLong},
			place{name: "object_size", as: asLong}, place{name: "total_time", as: asLong}, place{name: "turn_around_time", as: asLong},
			place{name: "referer"}, place{name: "user_agent"}, place{name: "version_id"}, place{name: "host_id"},
			place{name: "signature_version"}, place{name: "cipher_suite"}, place{name: "authentication_type"},
			place{name: "host_header"}, place{name: "tls_version"}, place{name: "access_point_arn"}, place{name: "acl_required"},
			place{name: "source_region"},
		)}
		f.greedy = 16 // user_agent
		return f
	})
)

// awsFormat parses access logs of AWS (ELB user guides, "Access log entries"; S3,
// "Server access log format"): fields with spaces between, some in quotes. Columns
// have the documented names, but for client, user, status, size, referer, method, path
// and protocol, which are called so in all access logs; url is what a load balancer
// was asked for. Times are UTC. Fields that AWS has added since go to attributes as
// "extra".
type awsFormat struct {
	placed
	name string
	utc  times.Zone
}

func (f *awsFormat) begin(r *reader) {
	f.utc = utcZone(r)
	f.columns(r)
}

func (f *awsFormat) record(r *reader, rec []byte) {
	why := f.split(rec, ' ', escaped)
	if why == "" {
		why = f.fill(r, rec, &f.utc)
	}
	if why != "" {
		r.fail(rec, notA(f.name, why))
	}
}

// notA is what parse_error says of records that don't fit.
func notA(format, why string) string { return "not " + format + ": " + why }

// utcZone is the zone of formats whose times are UTC, whatever the type's.
func utcZone(r *reader) times.Zone {
	z := times.AnyZone()
	z.Read = r.zone.Read
	return z
}

var vpcflowParser = define("vpcflow", "flow logs of AWS VPCs, in the default format, with a header, or with `fields`",
	func() fieldsOptions { return fieldsOptions{} },
	func(o *fieldsOptions) (format, error) {
		f := &vpcflowFormat{given: o.Fields}
		if len(f.given) == 0 {
			f.given = vpcflowDefault
		}
		return f, o.check()
	}).guessed(clue{options: vpcflowFields})

// vpcflowFields returns what names the fields of a text whose first line does so, if
// they are other than the default ones.
func vpcflowFields(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	names := bytes.Fields(line)
	if len(line) == 0 || line[0] < 'a' || line[0] > 'z' || string(bytes.Join(names, []byte(" "))) == strings.Join(vpcflowDefault, " ") {
		return ""
	}
	return listed("fields", names)
}

// vpcflowDefault is the format of version 2, which is the default.
var vpcflowDefault = []string{"version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol",
	"packets", "bytes", "start", "end", "action", "log-status"}

// vpcflowFormat parses flow logs of VPCs (Amazon VPC user guide, "Flow log
// records"): fields with spaces between, their names in the first line of each file,
// and in the option fields where that is far from a record. start is the row's time.
type vpcflowFormat struct {
	placed
	given []string
	utc   times.Zone
	names []byte // of the last header
}

func (f *vpcflowFormat) begin(r *reader) {
	f.utc = utcZone(r)
	f.use(f.given)
}

// use has the fields that follow be these.
func (f *vpcflowFormat) use(names []string) {
	f.places, f.gen, f.names = f.places[:0], nil, f.names[:0]
	for _, n := range names {
		p := place{name: columnName([]byte(n))}
		switch p.name {
		case "version", "srcport", "dstport", "protocol", "packets", "bytes", "end", "tcp_flags", "traffic_path":
			p.as = asLong
		case "start":
			p.as = asTime
		default:
			if !vpcflowText[p.name] {
				p.as = asBare
			}
		}
		f.places = append(f.places, p)
	}
	f.least = len(names)
}

// vpcflowText are the documented fields that are texts.
var vpcflowText = set("account_id", "interface_id", "srcaddr", "dstaddr", "action", "log_status", "vpc_id", "subnet_id", "instance_id",
	"type", "pkt_srcaddr", "pkt_dstaddr", "region", "az_id", "sublocation_type", "sublocation_id", "pkt_src_aws_service",
	"pkt_dst_aws_service", "flow_direction", "ecs_cluster_arn", "ecs_cluster_name", "ecs_container_instance_arn",
	"ecs_container_instance_id", "ecs_container_id", "ecs_second_container_id", "ecs_service_name", "ecs_task_definition_arn",
	"ecs_task_arn", "ecs_task_id", "reject_reason", "resource_id", "encryption_status")

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

func (f *vpcflowFormat) record(r *reader, rec []byte) {
	if f.heading(rec) {
		if r.format != f {
			r.row()
			r.b.Message(rec)
		}
		return
	}
	why := f.split(rec, ' ', noQuotes)
	if why == "" && len(f.vals) > len(f.places) {
		why = countedFields(len(f.vals), len(f.places), f.vals[len(f.places)].at)
	}
	if why == "" {
		why = f.fill(r, rec, &f.utc)
	}
	if why != "" {
		r.fail(rec, notA("vpcflow", why))
	}
}

// heading reads a line of names.
func (f *vpcflowFormat) heading(rec []byte) bool {
	if c := rec[0]; c < 'a' || c > 'z' || len(rec) > maxHeading {
		return false
	}
	if string(rec) == string(f.names) {
		return true
	}
	words := bytes.Fields(rec)
	names := make([]string, len(words))
	for i, w := range words {
		names[i] = string(w)
		if c := columnName(w); !vpcflowText[c] && !vpcflowNumber[c] {
			return false
		}
	}
	f.use(names)
	f.names = append(f.names, rec...)
	return true
}

var vpcflowNumber = set("version", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end", "tcp_flags", "traffic_path")

// skipped implements headed.
func (f *vpcflowFormat) skipped(_ *reader, rec []byte) { f.heading(rec) }

var (
	sureALB = regexp.MustCompile(`^(https?|h2|grpcs|wss?) \d{4}-\d\d-\d\dT\S+ \S+ \S+:\d+ `)
	sureELB = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\S+ \S+ \S+:\d+ `)
)
