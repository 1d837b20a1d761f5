package filter

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// decode reads an adaptor's keys.
func decode(t testing.TB, text string, replayable bool) Config {
	t.Helper()
	c, problems := tryDecode(t, text, replayable)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

func tryDecode(t testing.TB, text string, replayable bool) (Config, config.Problems) {
	t.Helper()
	n, problems := config.Parse("test", []byte(text))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	var k Keys
	if err := config.Decode(n, &k).Err(); err != nil {
		t.Fatal(err)
	}
	return Decode(k, replayable)
}

func env(f func(*Env)) Env {
	e := Env{Who: Who{Adaptor: "app", Kind: "tail"}, Replays: true, Switches: NewSwitches()}
	if f != nil {
		f(&e)
	}
	return e
}

// sink keeps what comes out.
type sink struct{ chunks []chunk.Chunk }

func (s *sink) Send(_ context.Context, c *chunk.Chunk) error {
	own := *c
	own.Body, own.Drops, own.Borders = slices.Clone(c.Body), slices.Clone(c.Drops), slices.Clone(c.Borders)
	if err := own.Check(); err != nil {
		return err
	}
	s.chunks = append(s.chunks, own)
	return nil
}

// show is what came out, on one line: data as text, facts and what was dropped within
// a chunk as their ranges and reasons.
func (s *sink) show() string {
	var out []string
	for _, c := range s.chunks {
		if c.Kind == chunk.Data {
			at := int64(0)
			for _, d := range c.Drops {
				if d.Body > at {
					out = append(out, fmt.Sprintf("%q", c.Body[at:d.Body]))
				}
				out = append(out, fmt.Sprintf("dropped%v(%s)", d.Range, c.Reason))
				at = d.Body
			}
			if at < int64(len(c.Body)) {
				out = append(out, fmt.Sprintf("%q", c.Body[at:]))
			}
		} else {
			out = append(out, fmt.Sprintf("%v%v(%s)", c.Kind, c.Range(), c.Reason))
		}
	}
	return strings.Join(out, " ")
}

func data(first int64, body string) *chunk.Chunk {
	return &chunk.Chunk{Type: "app", Host: "h", Source: "/log", Stream: "s", First: first, Last: first + int64(len(body)),
		Time: time.UnixMicro(1e15), Body: []byte(body)}
}

// through sends one chunk through and checks that the ranges join up.
func through(t testing.TB, f *Filter, c *chunk.Chunk) *sink {
	t.Helper()
	s := &sink{}
	if err := f.Send(t.Context(), c, s.Send); err != nil {
		t.Fatal(err)
	}
	at := c.First
	for _, out := range s.chunks {
		if out.First != at {
			t.Fatalf("a range begins at %d, the one before ended at %d: %s", out.First, at, s.show())
		}
		at = out.Last
	}
	if at != c.Last {
		t.Fatalf("the ranges end at %d, the chunk at %d: %s", at, c.Last, s.show())
	}
	return s
}

func want(t testing.TB, s *sink, want string) {
	t.Helper()
	if got := s.show(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestRulesDecideByTextAndLevel(t *testing.T) {
	lines := "GET /health ok\nINFO start\nDEBUG x\nplain\nERROR y\n"
	for name, test := range map[string]struct{ keys, want string }{
		"drop a text":          {`drop: ["/health"]`, `dropped[0,15)(drop rule 1) "INFO start\nDEBUG x\nplain\nERROR y\n"`},
		"neighbours merge":     {`drop: ["^GET", "^DEBUG", "INFO"]`, `dropped[0,34)(drop rule 1, drop rule 3, drop rule 2) "plain\nERROR y\n"`},
		"drop a level":         {`drop: [{level: info}]`, `"GET /health ok\n" dropped[15,34)(drop rule 1) "plain\nERROR y\n"`},
		"keep a level":         {`keep: [{level: warn}]`, `"GET /health ok\n" dropped[15,34)(keep) "plain\nERROR y\n"`},
		"keep a text":          {`keep: ["^plain$", "GET"]`, `"GET /health ok\n" dropped[15,34)(keep) "plain\n" dropped[40,48)(keep)`},
		"drop goes first":      {`{keep: ["[a-z]"], drop: ["start"]}`, `"GET /health ok\n" dropped[15,26)(drop rule 1) "DEBUG x\nplain\nERROR y\n"`},
		"both of a rule":       {`drop: [{level: error, match: "y|x"}]`, `"GET /health ok\nINFO start\n" dropped[26,34)(drop rule 1) "plain\n" dropped[40,48)(drop rule 1)`},
		"nothing to drop":      {`drop: [nothing]`, fmt.Sprintf("%q", lines)},
		"everything":           {`drop: ["(?s)."]`, `dropped[0,48)(drop rule 1)`},
		"case does not matter": {`drop: ["(?i)debug|PLAIN"]`, `"GET /health ok\nINFO start\n" dropped[26,40)(drop rule 1) "ERROR y\n"`},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, through(t, New(decode(t, test.keys, true), env(nil)), data(0, lines)), test.want)
		})
	}
}

func TestRecordsAreCutWhereTheChunkSaysAndKeepTheirBorders(t *testing.T) {
	c := data(100, "ERROR a\n  at b\nDEBUG c\n  at d\nERROR e\n  at f\nERROR g")
	c.Borders = []int64{15, 30, 45, 52}
	c.Tags = map[string]string{"team": "a"}
	s := through(t, New(decode(t, `drop: [DEBUG]`, true), env(nil)), c)
	want(t, s, `"ERROR a\n  at b\n" dropped[115,130)(drop rule 1) "ERROR e\n  at f\nERROR g"`)
	if len(s.chunks) != 1 {
		t.Fatalf("%d chunks came, want one", len(s.chunks))
	}
	if got, want := s.chunks[0].Borders, []int64{15, 30, 37}; !slices.Equal(got, want) {
		t.Errorf("borders %v, want %v", got, want)
	}
	if s.chunks[0].Tags["team"] != "a" || s.chunks[0].Source != "/log" || !s.chunks[0].Time.Equal(c.Time) {
		t.Errorf("%+v, want the chunk's own tags, source and time", s.chunks[0])
	}
}

func TestTextIsDecodedForMatching(t *testing.T) {
	utf16 := func(s string) string {
		var b strings.Builder
		for _, r := range s {
			b.WriteByte(byte(r))
			b.WriteByte(byte(r >> 8))
		}
		return b.String()
	}
	c := data(0, utf16("DEBUG ä\nERROR 日\n"))
	c.Encoding = "UTF-16LE"
	f := New(decode(t, `drop: ["^DEBUG ä$"]`, true), env(nil))
	if s := through(t, f, c); s.show() != fmt.Sprintf("dropped[0,16)(drop rule 1) %q", utf16("ERROR 日\n")) {
		t.Errorf("UTF-16: %s", s.show())
	}
	for encoding, text := range map[string]string{
		"GBK": "\xb2\xe2\xca\xd4", "Shift_JIS": "\x83\x65\x83\x58\x83\x67", "ISO-8859-1": "gr\xfc\xdfe",
	} {
		c := data(0, text+"\nother\n")
		c.Encoding = encoding
		f := New(decode(t, `drop: ["测试|テスト|grüße"]`, true), env(nil))
		want(t, through(t, f, c), fmt.Sprintf(`dropped[0,%d)(drop rule 1) "other\n"`, len(text)+1))
	}
}

func TestKindsMessageIsLookedAt(t *testing.T) {
	f := New(decode(t, `drop: ["^DEBUG", "stdout"]`, true), env(func(e *Env) {
		e.Message = func(r []byte) []byte { return r[len("2026-01-02T00:00:00Z stdout F "):] }
	}))
	want(t, through(t, f, data(0, "2026-01-02T00:00:00Z stdout F DEBUG x\n2026-01-02T00:00:00Z stdout F INFO y\n")),
		`dropped[0,38)(drop rule 1) "2026-01-02T00:00:00Z stdout F INFO y\n"`)
}

func TestSampleKeepsTheSameWheneverItComes(t *testing.T) {
	cfg := decode(t, `sample: 10%`, true)
	var b strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	whole := b.String()
	kept := func(f *Filter, chunks ...*chunk.Chunk) (r chunk.Ranges) {
		for _, c := range chunks {
			for _, out := range through(t, f, c).chunks {
				if out.Kind == chunk.Data {
					r = r.AddAll(out.Kept(out.Range()))
				}
			}
		}
		return r
	}
	f := New(cfg, env(nil))
	first := kept(f, data(0, whole))
	records := 0
	for _, r := range first {
		records += strings.Count(whole[r.First:r.Last], "\n")
	}
	if records < 1800 || records > 2200 {
		t.Errorf("%d of 20000 records are kept, want about 2000", records)
	}
	cut := strings.LastIndexByte(whole[:70_000], '\n') + 1
	again := kept(New(cfg, env(nil)), data(int64(cut), whole[cut:]), data(0, whole[:cut]))
	if !slices.Equal(first, again) {
		t.Error("other records are kept when they are sent again in other chunks")
	}
	other := data(0, whole)
	other.Stream = "t"
	if slices.Equal(first, kept(f, other)) {
		t.Error("two streams keep the same records, want each its own")
	}
	if got := f.Dropped().Reasons["sample"].Records; got < 2*17_600 || got > 2*18_200 {
		t.Errorf("%d records were counted as dropped, want those of both streams", got)
	}
}

func TestWhatComesAgainIsNotCountedTwiceAndPassesLimits(t *testing.T) {
	f := New(decode(t, "drop: [DEBUG]\nlimit: {records: 1, when_over: drop}", true), env(nil))
	body := "DEBUG a\n" + strings.Repeat("INFO b\n", 10)
	first := through(t, f, data(0, body))
	if n := f.Dropped(); n.Reasons["drop rule 1"] != (Count{8, 1}) || n.Reasons["limit"].Records == 0 {
		t.Fatalf("counted %+v, want one by the rule and some by the limit", n)
	}
	before := f.Dropped()
	again := through(t, f, data(0, body))
	want(t, again, fmt.Sprintf(`dropped[0,8)(drop rule 1) %q`, body[8:]))
	if n := f.Dropped(); n.Bytes != before.Bytes || n.Records != before.Records {
		t.Errorf("after the second sending %+v are counted, want %+v; the first was %s", n, before, first.show())
	}
}

func TestLimitDropsWhatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(decode(t, `limit: {bytes: 100, when_over: drop}`, true), env(nil))
		kept, at := 0, int64(0)
		body := strings.Repeat("123456789\n", 50)
		for range 60 { // 500 bytes a second for a minute
			for _, c := range through(t, f, data(at, body)).chunks {
				if c.Kind == chunk.Data {
					kept += len(c.Body)
				} else if c.Reason != "limit" {
					t.Errorf("reason %q, want limit", c.Reason)
				}
			}
			at += int64(len(body))
			time.Sleep(time.Second)
		}
		if most := 100 * (60 + burst + 1); kept > most || kept < 5900 {
			t.Errorf("%d bytes were kept of a minute at 100 a second, want 6000 to %d", kept, most)
		}
		if n := f.Dropped(); n.Bytes != at-int64(kept) || n.Records != n.Bytes/10 {
			t.Errorf("counted %+v, want the %d bytes that are missing", n, at-int64(kept))
		}
	})
}

func TestLimitMakesReplayableSourcesWait(t *testing.T) {
	for _, keys := range []string{`limit: {bytes: 100}`, `limit: {records: 10}`} {
		synctest.Test(t, func(t *testing.T) {
			f := New(decode(t, keys, true), env(nil))
			started, at := time.Now(), int64(0)
			body := strings.Repeat("123456789\n", 20)
			for range 60 { // 12,000 bytes
				s := through(t, f, data(at, body))
				var all string
				for _, c := range s.chunks {
					all += string(c.Body)
				}
				if all != body {
					t.Fatalf("%s, want all of it", s.show())
				}
				at += int64(len(body))
			}
			if took := time.Since(started); took < 110*time.Second || took > 125*time.Second {
				t.Errorf("12,000 bytes at 100 a second took %v, want 2 minutes less the burst", took)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := f.Send(ctx, data(at, body), (&sink{}).Send); err == nil {
				t.Error("a stop did not end the waiting")
			}
		})
	}
}

func TestPiecesOfALongRecordFollowTheirFirst(t *testing.T) {
	part := func(c *chunk.Chunk, part string) *chunk.Chunk {
		c.Tags = map[string]string{"part": part}
		return c
	}
	f := New(decode(t, `drop: ["^DEBUG"]`, true), env(nil))
	want(t, through(t, f, part(data(0, "DEBUG aaa"), "first")), "dropped[0,9)(drop rule 1)")
	want(t, through(t, f, part(data(9, "bbb"), "middle")), "dropped[9,12)(drop rule 1)")
	want(t, through(t, f, part(data(12, "ccc\n"), "last")), "dropped[12,16)(drop rule 1)")
	want(t, through(t, f, data(16, "INFO\n")), `"INFO\n"`)
	want(t, through(t, f, part(data(21, "INFO aaa"), "first")), `"INFO aaa"`)
	want(t, through(t, f, part(data(29, "DEBUG bbb\n"), "last")), `"DEBUG bbb\n"`)
	want(t, through(t, f, part(data(9, "bbb"), "middle")), "dropped[9,12)(drop rule 1)") // again, alone
	want(t, through(t, f, part(data(90, "DEBUG"), "middle")), `"DEBUG"`)                 // its first is not known
	if n := f.Dropped(); n.Bytes != 16 {
		t.Errorf("counted %+v, want 16 bytes", n)
	}
	g := New(decode(t, `drop: ["^DEBUG"]`, false), env(func(e *Env) { e.Replays = false }))
	want(t, through(t, g, part(data(0, "DEBUG aaa"), "first")), "dropped[0,9)(drop rule 1)")
	want(t, through(t, g, part(data(0, "bbb"), "last")), "dropped[0,3)(drop rule 1)")
	want(t, through(t, g, part(data(0, "INFO"), "first")), `"INFO"`)
	want(t, through(t, g, part(data(0, "bbb"), "last")), `"bbb"`)
}

func TestFactsAndUnfilteredChunksPassAsTheyAre(t *testing.T) {
	f := New(decode(t, `drop: [a]`, true), env(nil))
	c := data(5, "")
	c.Kind = chunk.End
	s := &sink{}
	if err := f.Send(t.Context(), c, s.Send); err != nil || len(s.chunks) != 1 || s.chunks[0].Kind != chunk.End {
		t.Errorf("%s, %v; want the End", s.show(), err)
	}
	var same *chunk.Chunk
	c = data(0, "a\nb\n")
	err := New(Config{}, env(nil)).Send(t.Context(), c, func(_ context.Context, c *chunk.Chunk) error { same = c; return nil })
	if err != nil || same != c {
		t.Errorf("without filters %p came out, want %p itself (%v)", same, c, err)
	}
}

func TestFailedSendIsNotCounted(t *testing.T) {
	f := New(decode(t, `drop: [DEBUG]`, true), env(nil))
	err := f.Send(t.Context(), data(0, "DEBUG\nINFO\nDEBUG\n"), func(context.Context, *chunk.Chunk) error { return context.Canceled })
	if err == nil || f.Dropped().Records != 0 {
		t.Errorf("%v, %+v counted; want the error and no record", err, f.Dropped())
	}
	through(t, f, data(0, "DEBUG\nINFO\nDEBUG\n"))
	if got := f.Dropped().Records; got != 2 {
		t.Errorf("%d records counted after all was sent, want 2", got)
	}
}

// However chunks are cut and whatever the rules, what comes out joins up, and
// kept and dropped records are those that the rules say of each line alone.
func TestRandomRulesAndChunks(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	words := []string{"DEBUG", "INFO", "ERROR", "GET /health", "x", "", "level=warn", `{"level":"debug"}`, "ſk"}
	rules := []string{"DEBUG", "'(?i)info'", "health|x", "'^$'", "{level: info}", "'^.{5,9}$'", "'(?i)sk'"}
	for range 300 {
		var lines []string
		for range rnd.IntN(40) {
			lines = append(lines, words[rnd.IntN(len(words))]+words[rnd.IntN(len(words))]+"\n")
		}
		rule := rules[rnd.IntN(len(rules))]
		key := []string{"drop", "keep"}[rnd.IntN(2)]
		cfg := decode(t, key+": ["+rule+"]", true)
		f := New(cfg, env(nil))
		at, kept := int64(0), ""
		for rest := lines; len(rest) > 0; {
			n := 1 + rnd.IntN(len(rest))
			body := strings.Join(rest[:n], "")
			for _, c := range through(t, f, data(at, body)).chunks {
				kept += string(c.Body)
			}
			at += int64(len(body))
			rest = rest[n:]
		}
		wanted := ""
		for _, l := range lines {
			rec := record{text: []byte(strings.TrimSuffix(l, "\n"))}
			r := append(cfg.Drop, cfg.Keep...)[0]
			met := r.level != Unknown && rec.levelOf() != Unknown && (key == "drop") == (rec.levelOf() <= r.level)
			if r.level != Unknown && key == "keep" {
				met = rec.levelOf() == Unknown || rec.levelOf() >= r.level
			}
			if r.text != nil {
				met = r.text.re.Match(rec.text)
			}
			if met == (key == "keep") {
				wanted += l
			}
		}
		if kept != wanted {
			t.Fatalf("%s [%s] kept %q of %q, want %q", key, rule, kept, lines, wanted)
		}
	}
}

func TestBadKeysAreRefusedByName(t *testing.T) {
	for text, want := range map[string]string{
		`drop: "x"`:             "drop: it is no list",
		`drop: []`:              "drop: it is no list, or an empty one",
		`drop: ["("]`:           "drop[0]: \"(\" is no regular expression",
		`drop: [{level: loud}]`: "drop[0].level: \"loud\" is no level; allowed: trace, debug",
		`drop: [{lvl: debug}]`:  "key \"lvl\" is not known",
		`drop: [""]`:            "drop[0]: an empty rule",
		`keep: [` + strings.Repeat(`a,`, 65) + `]`: "at most 64 are allowed",
		`sample: 0%`:                        "sample: \"0%\" is no share",
		`sample: 0.1`:                       "want a percentage",
		`sample: 101%`:                      "want a percentage",
		`limit: {}`:                         "limit: it bounds nothing",
		`limit: {bytes: 0}`:                 "limit.bytes",
		`limit: {records: 5, when_over: x}`: "drop",
		`limit: 5`:                          "limit",
		`drop: ["` + strings.Repeat("a", 5000) + `"]`: "at most 4096 are allowed",
	} {
		_, problems := tryDecode(t, text, true)
		if err := problems.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %v, want %q", text, err, want)
		}
	}
}

func TestDefaultOverALimitFollowsFromTheKind(t *testing.T) {
	if c := decode(t, `limit: {bytes: 5MiB}`, true); c.Limit.WhenOver != "wait" || c.Limit.Bytes != 5<<20 {
		t.Errorf("replayable: %+v, want to wait at 5 MiB", c.Limit)
	}
	if c := decode(t, `limit: {bytes: 5MiB}`, false); c.Limit.WhenOver != "drop" {
		t.Errorf("not replayable: %+v, want to drop", c.Limit)
	}
}

var discard = slog.New(slog.DiscardHandler)

// A chunk may hold far more than a limit lets pass in a second: it goes in
// pieces, so that what is sent at once stays within the burst.
func TestLimitHoldsWithinALargeChunk(t *testing.T) {
	for name, test := range map[string]struct {
		keys string
		gate GateConfig
	}{
		"bytes":             {`limit: {bytes: 100}`, GateConfig{}},
		"records":           {`limit: {records: 10}`, GateConfig{}},
		"a persona's bytes": {``, GateConfig{Bytes: 100, Wait: true}},
		"a persona's lines": {``, GateConfig{Records: 10, Wait: true}},
		"behind a rule":     {`{limit: {bytes: 100}, drop: [nothing]}`, GateConfig{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := New(decode(t, test.keys, true), env(func(e *Env) {
					if test.gate.Wait {
						e.Gate = NewGate("p", test.gate, Quota{}, discard)
					}
				}))
				started, sent := time.Now(), int64(0)
				c := data(0, strings.Repeat("123456789\n", 1000))
				for again := range 2 { // the second time it passes at once
					out := &sink{}
					if err := f.Send(t.Context(), c, func(ctx context.Context, piece *chunk.Chunk) error {
						sent += piece.Last - piece.First
						if most := 100 * (burst + 1 + time.Since(started).Seconds()); again == 0 && float64(sent) > most {
							t.Errorf("%d bytes after %v at 100 a second", sent, time.Since(started))
						}
						return out.Send(ctx, piece)
					}); err != nil {
						t.Fatal(err)
					}
					var body []byte
					for _, piece := range out.chunks {
						if piece.First != int64(len(body)) {
							t.Errorf("a piece begins at %d, want %d", piece.First, len(body))
						}
						body = append(body, piece.Body...)
					}
					if string(body) != string(c.Body) || again == 1 && len(out.chunks) != 1 {
						t.Errorf("%d pieces with %d bytes, want all of the chunk", len(out.chunks), len(body))
					}
				}
				if took := time.Since(started); took < 95*time.Second || took > 101*time.Second {
					t.Errorf("10,000 bytes at 100 a second took %v", took)
				}
			})
		})
	}
}
