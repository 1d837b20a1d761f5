package tail

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/charset"
	"github.com/akupara/akupara/config"
	"golang.org/x/text/encoding/ianaindex"
)

// encoded returns the text in an encoding, by its IANA name.
func encoded(t *testing.T, text, name string) string {
	t.Helper()
	if name == "" {
		return text
	}
	e, err := ianaindex.IANA.Encoding(name)
	if err != nil || e == nil {
		t.Fatalf("%s is not known: %v", name, err)
	}
	out, err := e.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// texts returns the records that came, as UTF-8, in the order of their offsets and
// once each, and the encoding they say they are in.
func (r *rig) texts(stream string) (texts []string, encoding string) {
	records := map[int64]string{}
	chunks := r.rec.Chunks()
	content := r.rec.Bytes(stream) // at least what these hold
	for _, c := range chunks {
		if c.Stream != stream || c.Kind != chunk.Data {
			continue
		}
		encoding = c.Encoding
		c.Body = content[c.First:c.Last]
		for first, last := range c.Records() {
			records[c.First+int64(first)] = string(charset.NewDecoder(encoding).Text(c.Body[first:last]))
		}
	}
	for _, at := range slices.Sorted(maps.Keys(records)) {
		texts = append(texts, records[at])
	}
	return texts, encoding
}

// whole waits until the text of the one stream is what is wanted.
func (r *rig) whole(want ...string) {
	r.t.Helper()
	r.until("not all came", func() bool {
		if len(r.rec.Streams()) != 1 {
			return false
		}
		got, _ := r.texts(r.rec.Streams()[0])
		return slices.Equal(got, want)
	})
}

func TestFilesOfEachEncodingAreCutAtTheirLines(t *testing.T) {
	for _, tt := range []struct {
		choice, encoding, mark string
		one, two               string
	}{
		{"", "UTF-16LE", "\ufeff", "2026 é漢𝄞\r\n", "2026 \u0a0a\u000b\n"},
		{"auto", "UTF-16BE", "\ufeff", "2026 é漢𝄞\r\n", "2026 \u0a0a\u0b00\n"},
		{"utf-16", "UTF-16BE", "\ufeff", "2026 é漢𝄞\n", "2026 x\n"},
		{"utf-16", "UTF-16LE", "\ufeff", "2026 é漢𝄞\n", "2026 x\n"},
		{"utf-16", "UTF-16LE", "", "2026 é漢𝄞\n", "2026 x\n"},
		{"utf-16le", "UTF-16LE", "", "2026 é漢𝄞\n", "2026 x\n"},
		{"UTF_16BE", "UTF-16BE", "", "2026 é漢𝄞\n", "2026 x\n"},
		{"latin-1", "ISO-8859-1", "", "2026 é\n", "2026 ÿþ\n"},
		{"windows-1252", "windows-1252", "", "2026 €\n", "2026 x\n"},
		{"gbk", "GBK", "", "2026 漢字\n", "2026 中文\n"},
		{"gb18030", "GB18030", "", "2026 漢𝄞\n", "2026 中文\n"},
		{"shift-jis", "Shift_JIS", "", "2026 漢字ソ\n", "2026 表\n"},
		{"euc-jp", "EUC-JP", "", "2026 漢字ソ\n", "2026 表\n"},
		{"euc-kr", "EUC-KR", "", "2026 한국\n", "2026 x\n"},
		{"big5", "Big5", "", "2026 漢字\n", "2026 許\n"},
		{"utf-8", "", "", "2026 é漢𝄞\n", "2026 \u0a0a\n"},
		{"", "", "\ufeff", "2026 é漢𝄞\n", "2026 \u0a0a\n"},
	} {
		t.Run(tt.choice+" "+tt.encoding, func(t *testing.T) {
			t.Parallel()
			for i := range 4 {
				multi, watch := i%2 == 0, []string{"auto", "poll"}[i/2]
				r := newRig(t).with(watch)
				if err := r.cfg.Encoding.UnmarshalText([]byte(tt.choice)); tt.choice != "" && err != nil {
					t.Fatal(err)
				}
				if multi {
					r.cfg.RecordStart = config.Regexp{Regexp: regexp.MustCompile(`^\x{feff}?\d{4} `)}
					r.cfg.RecordTimeout = config.Duration(20 * time.Millisecond)
				}
				all := encoded(t, tt.mark+tt.one+tt.two+tt.one, tt.encoding)
				r.write("a.log", all[:len(all)-3]) // inside a line's last character, mostly
				r.start()
				r.whole(tt.mark+tt.one, tt.two)
				r.kill()
				r.write("a.log", all[len(all)-3:])
				r.start()
				r.whole(tt.mark+tt.one, tt.two, tt.one)
				if _, got := r.texts(r.rec.Streams()[0]); got != tt.encoding {
					t.Errorf("encoding: got %q, want %q", got, tt.encoding)
				}
				if got := r.rec.Content(); got != all {
					t.Errorf("bytes: got %q, want %q", got, all)
				}
				r.noSkips()
				r.stop()
			}
		})
	}
}

func TestStartAtTheEndOfAWideFileIsBetweenCharacters(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.cfg.Start = "end"
		old, half, fresh := "\ufeffold \u0a0a\n", "begun, ", "ended\n"
		r.write("a.log", encoded(t, old+half, "UTF-16LE")+"n")
		r.start()
		r.until("nothing was opened", func() bool { return len(r.rec.Known()) == 2 })
		r.write("a.log", "\x00"+encoded(t, fresh, "UTF-16LE"))
		r.whole(half + "n" + fresh)
	})
}

func TestHalfACharacterAtTheEndIsSentWithTheLastLine(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		all := encoded(t, "\ufeffone\ntwo", "UTF-16LE") + "x"
		r.write("a.log", all)
		r.start()
		r.whole("\ufeffone\n")
		r.rename("a.log", "a.log.1")
		r.until("the end did not come", func() bool { return r.rec.Content() == all })
		r.write("a.log.1", "\x00"+encoded(t, " late\nthree\n", "UTF-16LE")) // the writer had it open
		all += "\x00" + encoded(t, " late\nthree\n", "UTF-16LE")
		r.until("what came late did not come", func() bool { return r.rec.Content() == all })
		got := r.records(r.rec.Streams()[0])
		if last := encoded(t, "three\n", "UTF-16LE"); got[len(got)-1] != last {
			t.Errorf("the last record is %q, want %q: characters are no longer whole", got[len(got)-1], last)
		}
	})
}

func TestWideLinesOverTheLimitAreKeptInPieces(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.cfg.MaxRecord = 5001 // odd on purpose
		long := strings.Repeat("𝄞é", 4000) + "\n"
		r.write("a.log", encoded(t, "\ufeffbefore\n"+long+"after\n", "UTF-16BE"))
		r.start()
		r.until("not all came", func() bool { return strings.HasSuffix(r.rec.Content(), encoded(t, "after\n", "UTF-16BE")) })
		texts, _ := r.texts(r.rec.Streams()[0])
		if n := len(texts); n < 6 || texts[0] != "\ufeffbefore\n" || texts[n-1] != "after\n" || strings.Join(texts[1:n-1], "") != long {
			t.Errorf("%d records, the first %.20q, the last %.20q; want the long line in whole characters between the two others", n, texts[0], texts[n-1])
		}
	})
}

func TestUTF16ThatTheConfigDeniesIsSkippedWithAReason(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.cfg.Encoding = "utf-8"
		r.write("a.log", encoded(t, "\ufeffone\n", "UTF-16LE"))
		r.start()
		r.until("no reason is shown", func() bool {
			return skippedReason(r.a.Status(), r.path("a.log")) == "UTF-16LE by its byte order mark, but encoding is utf-8"
		})
	})
}

func TestNULsBehindTextDoNotMakeItBinary(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		files := map[string]string{
			"short.log":  "text\n\x00\x00\x00\x00\x00\x00\nmore\n",
			"hole.log":   "text\n" + strings.Repeat("\x00", 9000) + "\nmore\n",
			"behind.log": strings.Repeat("a line of text\n", 100) + strings.Repeat("\x00", 3<<20) + "\nmore\n",
			"crlf.log":   "a\r\n\r\nb\x00c\r\n\xff\xc3\n",
			"bzip.log":   "BZh is no magic by itself\n",
		}
		for name, text := range files {
			r.write(name, text)
		}
		r.start()
		r.until("not all came", func() bool {
			n := 0
			for _, stream := range r.rec.Streams() {
				for _, text := range files {
					if string(r.rec.Bytes(stream)) == text {
						n++
					}
				}
			}
			return n == len(files)
		})
		r.noSkips()
		for _, stream := range r.rec.Streams() {
			if string(r.rec.Bytes(stream)) == files["short.log"] {
				if got, want := r.records(stream), []string{"text\n", "\x00\x00\x00\x00\x00\x00\n", "more\n"}; !slices.Equal(got, want) {
					t.Errorf("records: got %q, want %q", got, want)
				}
			}
		}
	})
}
