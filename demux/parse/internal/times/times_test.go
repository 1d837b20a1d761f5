package times

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

var readTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func mustLoad(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestTimeFormatsReadWhatTheyDescribe(t *testing.T) {
	for _, tc := range []struct{ format, text, want string }{
		{"dd/MMM/yyyy:HH:mm:ss Z", "10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36Z"},
		{"yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2025-10-10T13:55:36.123+02:00", "2025-10-10T11:55:36.123Z"},
		{"yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2025-10-10T13:55:36.123Z", "2025-10-10T13:55:36.123Z"},
		{"yyyy-MM-dd HH:mm:ss,SSS", "2025-10-10 13:55:36,123", "2025-10-10T13:55:36.123Z"},
		{"yyyy-MM-dd HH:mm:ss,SSS", "2025-10-10 13:55:36.123456", "2025-10-10T13:55:36.123456Z"},
		{"yyyyMMddHHmmssSSS", "20251010135536123", "2025-10-10T13:55:36.123Z"},
		{"yy/MM/dd HH:mm:ss", "17/06/09 20:10:40", "2017-06-09T20:10:40Z"},
		{"dd.MM.yy, h:mm:ss a", "09.06.99, 12:10:40 AM", "1999-06-09T00:10:40Z"},
		{"MMM d, yyyy h:mm:ss a", "Nov 8, 2025 12:10:40 PM", "2025-11-08T12:10:40Z"},
		{"EEE MMM dd HH:mm:ss z yyyy", "Sat Nov 08 12:10:40 CET 2025", "2025-11-08T11:10:40Z"},
		{"EEEE, d MMMM yyyy HH:mm:ss VV", "Saturday, 8 November 2025 12:10:40 America/New_York", "2025-11-08T17:10:40Z"},
		{"yyyy-MM-dd'T'HH:mm:ssXXX'['VV']'", "2025-11-08T12:10:40+01:00[Europe/Berlin]", "2025-11-08T11:10:40Z"},
		{"yyyy-MM-dd HH:mm:ss O", "2025-11-08 12:10:40 GMT+8", "2025-11-08T04:10:40Z"},
		{"yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]", "2025-11-08T12:10:40", "2025-11-08T12:10:40Z"},
		{"yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]", "2025-11-08T12:10:40.5+01:00", "2025-11-08T11:10:40.5Z"},
		{"yyyy-DDD HH:mm", "2025-033 12:10", "2025-02-02T12:10:00Z"},
		{"yyyy-MM-dd 'o''clock' HH", "2025-02-02 o'clock 12", ""},
		{"yyyy-MM-dd 'at' HH", "2025-02-02 at 24", "2025-02-02T00:00:00Z"},
		{"HH:mm:ss.SSS", "11:55:36.123", "2026-03-01T11:55:36.123Z"},
		{"HH:mm:ss.SSS", "14:55:36.123", "2026-02-28T14:55:36.123Z"},
		{"MM-dd HH:mm:ss", "12-31 23:59:59", "2025-12-31T23:59:59Z"},
		{"%d/%b/%Y:%H:%M:%S %z", "10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36Z"},
		{"%Y-%m-%dT%H:%M:%S.%fZ", "2025-10-10T13:55:36.123456Z", "2025-10-10T13:55:36.123456Z"},
		{"%Y-%m-%d %H:%M:%S,%L", "2025-10-10 13:55:36,123", "2025-10-10T13:55:36.123Z"},
		{"%b %e %T", "Oct  3 23:59:60", "2025-10-04T00:00:00Z"},
		{"%b %d %H:%M:%S", "jan 3 13:55:36", "2026-01-03T13:55:36Z"},
		{"%I:%M:%S %p %m/%d/%y", "01:55:36 pm 10/03/25", "2025-10-03T13:55:36Z"},
		{"%a %b %d %H:%M:%S %Z %Y", "Fri Oct 03 13:55:36 CEST 2025", "2025-10-03T11:55:36Z"},
		{"%s.%L", "1700000000.250", "2023-11-14T22:13:20.25Z"},
		{"%s", "1700000000", "2023-11-14T22:13:20Z"},
		{"2006-01-02 15:04:05", "2025-10-03 13:55:36.25", "2025-10-03T13:55:36.25Z"},
		{"2006-01-02 15:04:05.000", "2025-10-03 13:55:36,250", "2025-10-03T13:55:36.25Z"},
		{"2006-01-02T15:04:05.999999999Z07:00", "2025-10-03T13:55:36+01:00", "2025-10-03T12:55:36Z"},
		{"02/Jan/2006:15:04:05 -0700", "10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36Z"},
		{"Jan _2 15:04:05", "Feb  1 13:55:36", "2026-02-01T13:55:36Z"},
		{"3:04PM 1/2/06", "1:55AM 2/3/25", "2025-02-03T01:55:00Z"},
		{"epoch", "1700000000.123456", "2023-11-14T22:13:20.123456Z"},
		{"epoch_ms", "1700000000123", "2023-11-14T22:13:20.123Z"},
		{"epoch_ms", "1700000000123.4", "2023-11-14T22:13:20.1234Z"},
		{"epoch_us", "1700000000123456", "2023-11-14T22:13:20.123456Z"},
		{"epoch_ns", "1700000000123456000", "2023-11-14T22:13:20.123456Z"},
		{"rfc3339", "2025-10-10T13:55:36.123+02:00", "2025-10-10T11:55:36.123Z"},
		{"yyyy-MM-dd", "2025-10-10", "2025-10-10T00:00:00Z"},
		{"yyyy-MM-dd", "2025-13-10", ""},
		{"yyyy-MM-dd HH:mm:ss", "2025-10-10 13:55:36 ", "2025-10-10T13:55:36Z"},
		{"yyyy-MM-dd HH:mm:ss", "2025-10-10 13:55:36x", ""},
		{"yyyy-MM-dd HH:mm:ss", "2025-10-10 13:65:36", ""},
	} {
		formats, err := Compile(tc.format)
		if err != nil {
			t.Errorf("%s: %v", tc.format, err)
			continue
		}
		z := Zone{Loc: time.UTC, Read: readTime}
		got := ""
		if at := formats.Whole([]byte(tc.text), &z); at.OK {
			got = time.UnixMicro(at.Micros).UTC().Format("2006-01-02T15:04:05.999999Z")
		}
		if got != tc.want {
			t.Errorf("%s of %q: got %q, want %q", tc.format, tc.text, got, tc.want)
		}
	}
}

func TestTimeFormatsThatAreWrongSayInWhichSyntax(t *testing.T) {
	for format, want := range map[string]string{
		"yyyy-MM-dd bb":       "is taken for a Java pattern, as it has neither a % nor a digit: the letter b is not known",
		"yyyy-MM-dd'T":        "its quote ' is not closed",
		"yyyy-MM-dd MM":       "it has a month twice",
		"yyyy[-MM":            "a [ is not closed",
		"%Y-%m-%d %J":         "is taken for strptime's, as it has a %: %J is not known",
		"%Y-%d":               "it has a day and no month",
		"2020-01-02 15:04:05": "is taken for a Go layout, as it has a digit",
		"mm:ss":               "it has neither a day nor an hour",
		"":                    "it is empty",
	} {
		if _, err := Compile(format); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", format, err, want)
		}
	}
}

// Hours that come twice are the later ones, as long as those are not after the
// time at which the chunk was read; hours that are skipped are as if they weren't.
func TestLocalHoursAtChangesOfClocks(t *testing.T) {
	z := Zone{Loc: mustLoad(t, "Europe/Berlin")}
	for _, tc := range []struct{ read, text, want string }{
		{"2025-12-01T00:00:00Z", "2025-10-26 01:59:59", "2025-10-25T23:59:59Z"},
		{"2025-12-01T00:00:00Z", "2025-10-26 02:30:00", "2025-10-26T01:30:00Z"},
		{"2025-10-26T00:30:05Z", "2025-10-26 02:30:00", "2025-10-26T00:30:00Z"},
		{"2025-10-26T01:30:05Z", "2025-10-26 02:30:00", "2025-10-26T01:30:00Z"},
		{"2025-10-26T00:30:05Z", "2025-10-26 03:00:00", "2025-10-26T02:00:00Z"},
		{"2025-12-01T00:00:00Z", "2025-03-30 01:59:59", "2025-03-30T00:59:59Z"},
		{"2025-12-01T00:00:00Z", "2025-03-30 02:30:00", "2025-03-30T01:30:00Z"},
		{"2025-12-01T00:00:00Z", "2025-03-30 03:00:00", "2025-03-30T01:00:00Z"},
		{"2025-12-01T00:00:00Z", "2025-03-29 12:00:00", "2025-03-29T11:00:00Z"},
		{"2025-12-01T00:00:00Z", "2025-03-30 12:00:00", "2025-03-30T10:00:00Z"},
		{"2025-12-01T00:00:00Z", "2025-03-30 02:30:00 Europe/London", "2025-03-30T01:30:00Z"},
		{"2025-12-01T00:00:00Z", "2025-06-30 02:30:00 Europe/London", "2025-06-30T01:30:00Z"},
		{"2025-12-01T00:00:00Z", "2025-06-30 02:30:00 No/Zone", "2025-06-30T00:30:00Z"},
	} {
		at, err := time.Parse(time.RFC3339, tc.read)
		if err != nil {
			t.Fatal(err)
		}
		z.ReadAt(at)
		got, _ := ISO([]byte(tc.text), &z)
		if text := time.UnixMicro(got.Micros).UTC().Format(time.RFC3339); text != tc.want {
			t.Errorf("%s, read at %s: got %s, want %s", tc.text, tc.read, text, tc.want)
		}
	}
}

func TestUsualTimesAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"Nov 28, 2025 10:00:00 PM":                "2025-11-28T22:00:00Z",
		"Nov 28, 2025, 12:00:00\u202fAM":          "2025-11-28T00:00:00Z",
		"28-Nov-25 10:00:00 pm":                   "2025-11-28T22:00:00Z",
		"Saturday, 28-Nov-98 10:00:00 GMT":        "1998-11-28T10:00:00Z",
		"2025-06-30T23:59:60Z":                    "2025-07-01T00:00:00Z",
		"2025-06-30 23:59:59,5 Europe/Berlin":     "2025-06-30T21:59:59.5Z",
		"2025-06-30T23:59:59+02:00[Europe/Paris]": "2025-06-30T21:59:59Z",
		"2025-06-30T23:59:59Z[UTC]":               "2025-06-30T23:59:59Z",
		"2025-06-30 23:59:59 GMT+2":               "2025-06-30T21:59:59Z",
		"2025-06-30 23:59:59 UTC-03:30":           "2025-07-01T03:29:59Z",
		"2025-06-30 23:59:59 NZST":                "2025-06-30T11:59:59Z",
		"Dec 31 23:59:59":                         "2025-12-31T23:59:59Z",
		"Mar  2 11:00:00":                         "2026-03-02T11:00:00Z",
		"Mar  3 11:00:00":                         "2025-03-03T11:00:00Z",
		"Sat Nov 29 10:00:00 EST 2025":            "2025-11-29T15:00:00Z",
		"1764410400":                              "2025-11-29T10:00:00Z",
		"1764410400.5":                            "2025-11-29T10:00:00.5Z",
		"1764410400.25" + strings.Repeat("0", 40): "2025-11-29T10:00:00.25Z",
	} {
		z := Zone{Loc: time.UTC, Read: readTime}
		got := ""
		if at := Text([]byte(text), &z); at.OK {
			got = time.UnixMicro(at.Micros).UTC().Format("2006-01-02T15:04:05.999999Z")
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// FuzzTimeFormat holds formats to what regular expressions are made of them:
// whatever a format reads, its expression matches.
func FuzzTimeFormat(f *testing.F) {
	for _, s := range [][2]string{
		{"yyyy-MM-dd HH:mm:ss,SSS Z", "2025-10-10 13:55:36,123 +0100"}, {"%b %e %T %Z", "Oct  3 23:59:60 CET"}, {"epoch_ms", "1700000000123"},
		{"3:04PM 1/2/06 MST", "1:55AM 2/3/25 GMT+2"}, {"yyyy-MM-dd'T'HH:mm[:ss][.SSS][VV]", "2025-10-10T13:55"}, {"rfc3339", "2025-10-10t13:55:36Z"},
	} {
		f.Add(s[0], []byte(s[1]))
	}
	f.Fuzz(func(t *testing.T, format string, text []byte) {
		formats, err := Compile(format)
		if err != nil {
			return
		}
		z := Zone{Loc: time.UTC, Read: readTime}
		if at, n := formats.Read(text, &z); n > 0 && !at.OK || n > len(text) {
			t.Fatalf("%s of %q: got %v and %d bytes", format, text, at, n)
		} else if n > 0 && !regexp.MustCompile("^(?s:"+formats.Expr()+")$").Match(text[:n]) {
			t.Fatalf("%s of %q: %s doesn't match it", format, text[:n], formats.Expr())
		}
	})
}
