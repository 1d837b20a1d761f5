package parse

import (
	"strings"
	"testing"
)

func TestAccessFormatsAsServersHaveThem(t *testing.T) {
	const nginxMain = `log_format  main  '$remote_addr - $remote_user [$time_local] "$request" '
                      '$status $body_bytes_sent "$http_referer" '
                      '"$http_user_agent" "$http_x_forwarded_for"';`
	const times = `ts="2026-03-01T10:00:00Z" `
	for _, tc := range []struct{ pattern, record, want string }{
		{nginxMain, `10.0.0.1 - - [01/Mar/2026:11:00:00 +0100] "GET /a?b=c HTTP/1.1" 200 612 "-" "curl/8" "1.1.1.1, 2.2.2.2"`,
			times + `client="10.0.0.1" method="GET" path="/a?b=c" protocol="HTTP/1.1" size="612" status="200" user_agent="curl/8" x_forwarded_for="1.1.1.1, 2.2.2.2"`},
		{nginxMain, `2001:db8::1 - bob smith [01/Mar/2026:11:00:00 +0100] "\x16\x03\x01" 400 0 "-" "-" "-"`,
			times + `attributes="request=\\x16\\x03\\x01 " client="2001:db8::1" size="0" status="400" user="bob smith"`},
		{nginxMain, `10.0.0.1 - - [01/Mar/2026:11:00:00 +0100] "" 400 0 "-" "-" "-"`,
			times + `client="10.0.0.1" size="0" status="400"`},
		{`LogFormat "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\" %D" combined_time`,
			`h.example.org - frank [01/Mar/2026:10:00:00 +0000] "POST /x HTTP/2.0" 304 - "https://a/" "Moz \"5\" (X)" 12345`,
			times + `client="h.example.org" duration_us="12345" method="POST" path="/x" protocol="HTTP/2.0" referer="https://a/" status="304" user="frank" user_agent="Moz \"5\" (X)"`},
		{`%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"`,
			`www.example.org:443 ::1 - - [01/Mar/2026:10:00:00 +0000] "GET / HTTP/1.0" 200 5 "-" "-"`,
			times + `bytes_sent="5" client="::1" method="GET" path="/" port="443" protocol="HTTP/1.0" status="200" vhost="www.example.org"`},
		{`%{X-Forwarded-For}i %l %u [%{%d/%b/%Y:%T}t.%{msec_frac}t %{%z}t] \"%m %U%q %H\" %s %B %{ms}T`,
			`1.1.1.1, 2.2.2.2 - - [01/Mar/2026:10:00:00.250 +0000] "GET /a?x=1 HTTP/1.1" 200 7 31`,
			`ts="2026-03-01T10:00:00.25Z" duration_ms="31" method="GET" path="/a" protocol="HTTP/1.1" query="?x=1" size="7" status="200" x_forwarded_for="1.1.1.1, 2.2.2.2"`},
		{"\"%h %{%Y-%m-%dT%H:%M:%S}t \\\n\\\"%r\\\" %!200{Referer}i %{SSL_PROTOCOL}x %{tid}P\"", `a 2026-03-01T10:00:00 "OPTIONS * HTTP/1.1" - TLSv1.3 77`,
			times + `client="a" method="OPTIONS" path="*" protocol="HTTP/1.1" ssl_protocol="TLSv1.3" tid="77"`},
		{`$remote_addr $msec "$request" $status $request_time $upstream_response_time $upstream_status "$upstream_addr" ${request_id} $pipe`,
			`10.0.0.1 1772359200.250 "GET / HTTP/1.1" 502 0.304 0.001, 0.002 : 0.301 502, 502 : 200 "10.1.1.1:80, 10.1.1.2:80 : unix:/x" ab12 .`,
			`ts="2026-03-01T10:00:00.25Z" attributes="upstream_response_time=0.001, 0.002 : 0.301 upstream_status=502, 502 : 200 " client="10.0.0.1" method="GET" path="/" pipe="." protocol="HTTP/1.1" request_id="ab12" request_time="0.304" status="502" upstream_addr="10.1.1.1:80, 10.1.1.2:80 : unix:/x" upstream_response_time="0.304" upstream_status="200"`},
		{`log_format j escape=json '{"t":"$time_iso8601","a":"$remote_addr","r":"$request","s":$status,"rt":"$request_time","urt":"$upstream_response_time","ua":"$http_user_agent"}';`,
			`{"t":"2026-03-01T11:00:00+01:00","a":"10.0.0.1","r":"GET /\"q\" HTTP/1.1","s":200,"rt":"0.004","urt":"","ua":"x \"y\" \u0001é"}`,
			times + `client="10.0.0.1" method="GET" path="/\"q\"" protocol="HTTP/1.1" request_time="0.004" status="200" user_agent="x \"y\" \x01é"`},
		{`"$request" "$http_host" $host`, `"GET / HTTP/1.1" "a.b" c`, `ts="2026-03-01T12:00:00Z" http_host="a.b" method="GET" path="/" protocol="HTTP/1.1" vhost="c"`},
		{`%h %t %s`, `a [01/Mar/2026:10:00:00 +0000] x`, `ts="2026-03-01T12:00:00Z" message="a [01/Mar/2026:10:00:00 +0000] x" parse_error="not the pattern: at byte 31, want \"-\""`},
	} {
		spec := "parser: combined\npattern: |-\n  " + strings.ReplaceAll(tc.pattern, "\n", "\n  ")
		oneRow(t, spec, tc.record, tc.want)
	}
}

func TestAccessFormatsThatAreWrongSayWhere(t *testing.T) {
	for pattern, want := range map[string]string{
		"%h %y":            `the directive "%y" at byte 3 is not known`,
		"%h %{Referer":     "is not closed",
		"%h %":             "it ends within a directive",
		"no fields":        "has no directive of Apache's",
		"%{%Q%Y}t":         "",
		"%{nope}t":         `the directive "%{nope}t" at byte 0 is not known`,
		"%h %{%d %J}t":     "%J is not known",
		"%{hours}T":        `the directive "%{hours}T"`,
		"$time_iso8601 %h": "",
	} {
		_, problems := ReadText("{parser: combined, pattern: '" + pattern + "'}")
		if want == "" && len(problems) == 0 {
			continue
		}
		if len(problems) != 1 || !strings.Contains(problems[0].String(), want) {
			t.Errorf("%s: got %v, want %s", pattern, problems, want)
		}
	}
}
