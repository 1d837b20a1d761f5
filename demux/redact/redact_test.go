package redact

import (
	"regexp"
	"strings"
	"testing"
)

func whole(hash *Hasher) *Redactor { return New(Kinds, nil, hash) }

func TestWhatMustNotBeKeptIsMasked(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"an address", "mail from bob.o'neil+x@mail.example.com.", "mail from [email]."},
		{"in brackets", "<root@example.org>,", "<[email]>,"},
		{"as a value", "user=bob@example.org&x=1", "user=[email]&x=1"},
		{"Unicode", "an jürgen@bücher.example, 用户@例え.テスト", "an [email], [email]"},
		{"in a URL", "GET /login?email=bob%40example.com&a=1", "GET /login?email=[email]&a=1"},
		{"quoted", `"john doe"@example.org wrote`, "[email] wrote"},
		{"escaped in JSON", `["bob\u0040example.org"]`, `["[email]"]`},
		{"no address", "user@host @example.org a@b.1 x@.de", "user@host @example.org a@b.1 x@.de"},

		{"a card", "card 4111111111111111 declined", "card [card *1111] declined"},
		{"with spaces", "4111 1111 1111 1111, 3782 822463 10005", "[card *1111], [card *0005]"},
		{"with hyphens", "pan:5500-0000-0000-0004;", "pan:[card *0004];"},
		{"of 13, 14 and 19 digits", "4222222222222 30569309025904 6304000000000000000", "[card *2222] [card *5904] [card *0000]"},
		{"behind a date", "2024-01-01 4111111111111111", "2024-01-01 [card *1111]"},
		{"behind a year", "2024 4111 1111 1111 1111", "2024 [card *1111]"},
		{"wrong by Luhn", "4111111111111112 4111 1111 1111 1112", "4111111111111112 4111 1111 1111 1112"},
		{"no cards", "1704067200000 1704067200000000 0.4111111111111111 a4111111111111111 41111111111111110000", "1704067200000 1704067200000000 0.4111111111111111 a4111111111111111 41111111111111110000"},

		{"IPv4", "from 10.1.2.3:8080, [192.168.0.1] 10.0.0.0/8.", "from [ip]:8080, [[ip]] [ip]/8."},
		{"IPv6", "from [2001:db8::1]:443 fe80::1%eth0, ::1 ::ffff:10.1.2.3 addr:2001:db8::2.", "from [[ip]]:443 [ip]%eth0, [ip] [ip] addr:[ip]."},
		{"no addresses", "12:34:56 v1.2.3.4 1.2.3.4.5 256.1.1.1 std::vector abc::def ab:cd:ef:01:02:03 a::b", "12:34:56 v1.2.3.4 1.2.3.4.5 256.1.1.1 std::vector abc::def ab:cd:ef:01:02:03 a::b"},

		{"a header", "Authorization: Bearer abcdef123456.x-y", "Authorization: Bearer [token]"},
		{"a scheme alone", "sent bearer abcDEF123456 to", "sent bearer [token] to"},
		{"a password", "login user=bob password=hunter2 ok", "login user=bob password=[token] ok"},
		{"with a comma", "password=a,b;c, x=1", "password=[token], x=1"},
		{"in a map", "{password=hunter2,user=bob}", "{password=[token],user=bob}"},
		{"in JSON", `{"dbPassword": "a\"b c", "x": 1}`, `{"dbPassword": "[token]", "x": 1}`},
		{"in JSON in JSON", `{"body":"{\"api_key\":\"abc\",\"x\":1}"}`, `{"body":"{\"api_key\":\"[token]\",\"x\":1}"}`},
		{"in a query", "GET /x?access_token=abc123&y=1", "GET /x?access_token=[token]&y=1"},
		{"in a URL's head", "postgres://app:s3cr3t@db.local:5432/x", "postgres://app:[token]@db.local:5432/x"},
		{"cookies", `curl -H "Cookie: sid=abc; theme=dark" /x`, `curl -H "Cookie: [token]" /x`},
		{"of AWS", "key AKIAIOSFODNN7EXAMPLE.", "key [token]."},
		{"of GitHub", "push ghp_16C7e42F292c6912E7710c838347Ae178B4a", "push [token]"},
		{"a JSON Web Token", "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_123 ok", "jwt [token] ok"},
		{"a private key", "x -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- y", "x [token] y"},
		{"no secrets", "password: *** token=null basic operations, key=1", "password: *** token=null basic operations, key=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, found := whole(nil).Redact([]byte(c.in))
			if string(out) != c.want {
				t.Errorf("got  %q\nwant %q", out, c.want)
			}
			if found != (c.in != c.want) {
				t.Errorf("found is %v", found)
			}
		})
	}
}

func TestOneValueHasOneHash(t *testing.T) {
	h := NewHasher([]byte("0123456789abcdef"))
	get := func(k Kind, s string) string {
		out, _ := New([]Kind{k}, nil, h).Redact([]byte(s))
		return string(out)
	}
	for _, same := range [][2]string{
		{get(Email, "Bob@Example.org"), get(Email, "bob%40example.org")},
		{get(Card, "4111 1111 1111 1111"), get(Card, "4111111111111111")},
		{get(IP, "2001:db8:0::1"), get(IP, "2001:DB8::1")},
		{get(Email, "bob@example.org"), "[email:" + string(NewHasher([]byte("0123456789abcdef")).Append(nil, []byte("bob@example.org"))) + "]"},
	} {
		if same[0] != same[1] {
			t.Errorf("%s and %s differ", same[0], same[1])
		}
	}
	if a, b := get(Email, "bob@example.org"), get(Email, "bib@example.org"); a == b {
		t.Errorf("two values have the hash %s", a)
	}
	other := NewHasher([]byte("0123456789abcdeX"))
	if string(other.Append(nil, []byte("x"))) == string(h.Append(nil, []byte("x"))) {
		t.Error("another key makes the same hash")
	}
}

func TestPatternsRedactTheirGroups(t *testing.T) {
	for _, c := range []struct{ pattern, in, want string }{
		{`sid=(\w+)`, "sid=abc, sid=def", "sid=[redacted], sid=[redacted]"},
		{`\d+`, "a 12 b 345", "a [redacted] b [redacted]"},
		{`\w+`, "ab cd", "[redacted] [redacted]"},
		{`.*`, "ab cd", "[redacted]"},
		{`x*`, "ab", "ab"},
	} {
		r := New(nil, []Pattern{{Regexp: regexp.MustCompile(c.pattern)}}, nil)
		for range 2 { // the second time nothing is found
			out, _ := r.Redact([]byte(c.in))
			if string(out) != c.want {
				t.Errorf("%s: got %q, want %q", c.pattern, out, c.want)
			}
			c.in = string(out)
		}
	}
}

func TestKeysOfRawTextsAreFoundByTheirNames(t *testing.T) {
	r := whole(nil)
	r.Names([]string{"user.ssn", "ssn"})
	out, _ := r.Redact([]byte(`{"ssn": "078-05-1120", ssn=123 "user.ssn":45, "x":1`))
	if want := `{"ssn": "[redacted]", ssn=[redacted] "user.ssn":[redacted], "x":1`; string(out) != want {
		t.Errorf("got  %q\nwant %q", out, want)
	}
}

func TestColumnsOfSecretsAreKnownByTheirNames(t *testing.T) {
	for name, want := range map[string]bool{"password": true, "db.Password": true, "X-Auth-Token": true, "headers.authorization": true, "user": false, "tokens": false, "": false} {
		if got := IsSecret(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
	r := whole(nil)
	for in, want := range map[string]string{"hunter2": "[token]", "true": "true", "": "", "[token]": "[token]"} {
		if out, _ := r.Secret([]byte(in)); string(out) != want {
			t.Errorf("%q: got %q, want %q", in, out, want)
		}
	}
}

// FuzzRedact checks that nothing is left to be found, and that what was found once is
// as it is.
func FuzzRedact(f *testing.F) {
	for _, s := range []string{
		"bob@example.org 4111 1111 1111 1111 10.0.0.1 [::1]:80 password=x", `{"token":"a\"b"}`, "a@b.cc@d.ee", "a%40b.cc%40d.ee",
		"http://a:b@c.dd:e@f/", "1.2.3.4.5.6", "::1::2", `\u0040\u0031`, "password=[token]x", "Bearer [token]xyz0000000", "-----BEGIN PRIVATE KEY",
		"ghp_ghp_ghp_aaaaaaaaaaaaaaaaaaaaa", "password:password:password=x", "4111111111111111-4111111111111111",
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, hashed bool) {
		var h *Hasher
		if hashed {
			h = NewHasher([]byte("0123456789abcdef"))
		}
		out, _ := whole(h).Redact([]byte(s))
		once := string(out)
		for _, kind := range Kinds {
			for i, find := range finds[kind] {
				if first, last := find([]byte(once), 0); first >= 0 {
					t.Errorf("%q: the %s %q (%d) is left in %q", s, kind, once[first:last], i, once)
				}
			}
		}
		if twice, found := whole(h).Redact([]byte(once)); found || string(twice) != once {
			t.Errorf("%q became %q, and then %q", s, once, twice)
		}
	})
}

func TestTimeIsInProportionToTheText(t *testing.T) {
	// What makes each finder begin again and again: a text of 1 MiB takes milliseconds.
	for _, part := range []string{"a%40", "@", "a@", "1.", "1234 ", "::", "a:", "password=", ",", "a=b,", "http://a:", "-----BEGIN ", "ghp_", "Bearer ", `\u0040`, `\"`, "4111-", "eyJa."} {
		s := []byte(strings.Repeat(part, 1<<20/len(part)))
		whole(nil).Redact(s)
	}
}

func BenchmarkRedact(b *testing.B) {
	line := []byte("2024-05-01 12:34:56,789 INFO  [IPC Server handler 12 on 8020] org.apache.hadoop.hdfs.StateChange: BLOCK* allocate blk_1073741825_1001, replicas=10.0.0.4, 10.0.0.5 for /user/app/part-00001\n")
	plain := []byte("2024-05-01 12:34:56,789 INFO  [main] org.apache.hadoop.hdfs.StateChange: STATE* Safe mode is OFF after 23 secs, 1 live nodes, path=/user/app/part-00001, took: 12 ms\n")
	for _, c := range []struct {
		name string
		text []byte
		kind []Kind
	}{
		{"found", line, Kinds}, {"nothing", plain, Kinds},
		{"email", plain, []Kind{Email}}, {"card", plain, []Kind{Card}}, {"ip", plain, []Kind{IP}}, {"token", plain, []Kind{Token}},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := New(c.kind, nil, nil)
			b.SetBytes(int64(len(c.text)))
			b.ReportAllocs()
			for b.Loop() {
				r.Redact(c.text)
			}
		})
	}
}
