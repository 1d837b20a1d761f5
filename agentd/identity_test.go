package agentd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/chunk"
)

// tailer is an entry of the config.
func tailer(name, dataType, paths string) string {
	return fmt.Sprintf(" - {name: %s, kind: tail, type: %s, paths: ['%s'], rescan: 50ms}\n", name, dataType, paths)
}

// streamsOf are the ids of the streams of which data came, of a type.
func streamsOf(chunks []chunk.Chunk, dataType string) []string {
	var out []string
	for _, c := range chunks {
		if c.Type == dataType && c.Kind == chunk.Data && !slices.Contains(out, c.Stream) {
			out = append(out, c.Stream)
		}
	}
	return out
}

// Whatever people do to the adaptors of one type, a file's lines come once.
func TestStreamsFollowTheirFilesToOtherAdaptors(t *testing.T) {
	for name, test := range map[string]struct{ before, after func(dir string) string }{
		"an adaptor is renamed": {
			func(dir string) string { return tailer("one", "app", dir+"/*.log") },
			func(dir string) string { return tailer("two", "app", dir+"/*.log") },
		},
		"a path moves to another": {
			func(dir string) string {
				return tailer("one", "app", dir+"/app.log") + tailer("two", "app", dir+"/none.log")
			},
			func(dir string) string {
				return tailer("one", "app", dir+"/none.log") + tailer("two", "app", dir+"/app.log")
			},
		},
		"one is added that matches the same": {
			func(dir string) string { return tailer("one", "app", dir+"/app.log") },
			func(dir string) string {
				return tailer("another", "app", dir+"/*") + tailer("one", "app", dir+"/app.log")
			},
		},
		"one of two is removed": {
			func(dir string) string {
				return tailer("one", "app", dir+"/app.log") + tailer("two", "app", dir+"/a*.log")
			},
			func(dir string) string { return tailer("two", "app", dir+"/a*.log") },
		},
		"names change places": {
			func(dir string) string {
				return tailer("one", "app", dir+"/app.log") + tailer("two", "app", dir+"/b.log")
			},
			func(dir string) string {
				return tailer("two", "app", dir+"/app.log") + tailer("one", "app", dir+"/b.log")
			},
		},
	} {
		for _, how := range []string{"reload", "restart"} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				dir, c := t.TempDir(), collectortest.New(t, "a")
				logs, path := filepath.Join(dir, "logs"), filepath.Join(dir, "logs", "app.log")
				if err := os.Mkdir(logs, 0o755); err != nil {
					t.Fatal(err)
				}
				write(t, path, lines(0, 500))
				a := startFile(t, dir, "adaptors:\n"+test.before(logs), c.URL)
				c.Wait("the first lines", func(all []chunk.Chunk) bool { return missing(t, all, 500) == 0 })
				c.SettleAll(true)
				write(t, path, lines(500, 800))
				c.Wait("more lines", func(all []chunk.Chunk) bool { return missing(t, all, 800) == 0 })
				if how == "restart" {
					a.stop()
					a = startFile(t, dir, "adaptors:\n"+test.after(logs), c.URL)
				} else {
					a.write(a.base + "adaptors:\n" + test.after(logs))
					reloadConfig(t, a, 200)
				}
				write(t, path, lines(800, 1000))
				got := c.Wait("the last lines", func(all []chunk.Chunk) bool { return missing(t, all, 1000) == 0 })
				if ids := streamsOf(got, "app"); len(ids) != 1 {
					t.Errorf("the file came in the streams %q, want one\n%s", ids, a.log)
				}
				until(t, "no adaptor shows the stream as its own", func() bool {
					status, body := a.do("GET", "/v1/streams", "")
					return status == 200 && strings.Count(body, `"live":true`) == 1
				})
			})
		}
	}
}

// The lines from there on are in the other type's table, each in one alone.
func TestAdaptorGoesOnAsAnotherTypeWhereItWas(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"reload", "restart"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir, c := t.TempDir(), collectortest.New(t, "a")
			c.SettleAll(true)
			logs, path := filepath.Join(dir, "logs"), filepath.Join(dir, "logs", "app.log")
			if err := os.Mkdir(logs, 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, path, lines(0, 500))
			a := startFile(t, dir, "adaptors:\n"+tailer("one", "app", logs+"/*.log"), c.URL)
			c.Wait("the first lines", func(all []chunk.Chunk) bool { return missing(t, all, 500) == 0 })
			a.wait("one", "settled", func(v view) bool { return len(v.Position) == 1 && settled(v) })
			if how == "restart" {
				a.stop()
				a = startFile(t, dir, "adaptors:\n"+tailer("one", "other", logs+"/*.log"), c.URL)
			} else {
				a.write(a.base + "adaptors:\n" + tailer("one", "other", logs+"/*.log"))
				reloadConfig(t, a, 200)
			}
			write(t, path, lines(500, 800))
			begin := int64(len(lines(0, 500)))
			got := c.Wait("lines of the other type", func(all []chunk.Chunk) bool {
				return slices.ContainsFunc(all, func(ch chunk.Chunk) bool { return ch.Type == "other" && ch.Last == int64(len(lines(0, 800))) })
			})
			told := false
			for _, ch := range got {
				if ch.Type == "other" {
					told = told || ch.Kind == chunk.Begin && ch.First == begin
					if ch.First < begin {
						t.Errorf("%v %v came as the other type, want none below %d", ch.Kind, ch.Range(), begin)
					}
				} else if ch.Last > begin {
					t.Errorf("%v %v came as the type before, want none above %d", ch.Kind, ch.Range(), begin)
				}
			}
			a.wait("one", "settled", func(v view) bool { return len(v.Position) == 1 && settled(v) })
			if !told {
				t.Errorf("no fact says that the other type's stream begins at %d", begin)
			}
		})
	}
}

// What was sent as the type before and is not settled yet may be in that one's table:
// it goes out as that type again, and the other one begins behind it.
func TestNothingComesAsTwoTypesWhereSomeOfItIsNotSettled(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"reload", "restart"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir, c := t.TempDir(), collectortest.New(t, "a")
			logs, path := filepath.Join(dir, "logs"), filepath.Join(dir, "logs", "app.log")
			if err := os.Mkdir(logs, 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, path, lines(0, 500))
			a := startFile(t, dir, "adaptors:\n"+tailer("one", "app", logs+"/*.log"), c.URL)
			c.Wait("the first lines", func(all []chunk.Chunk) bool { return missing(t, all, 500) == 0 })
			begin := int64(len(lines(0, 500)))
			as := func(all []chunk.Chunk, dataType string, from int) (got chunk.Ranges) {
				for _, ch := range all[from:] {
					if ch.Type == dataType && ch.Kind == chunk.Data {
						got = got.Add(ch.Range())
					}
				}
				return got
			}
			sent := len(c.Chunks())
			if how == "restart" {
				a.stop()
				a = startFile(t, dir, "adaptors:\n"+tailer("one", "other", logs+"/*.log"), c.URL)
			} else {
				a.write(a.base + "adaptors:\n" + tailer("one", "other", logs+"/*.log"))
				reloadConfig(t, a, 200)
			}
			write(t, path, lines(500, 800))
			c.Wait("what is not settled, as the type before", func(all []chunk.Chunk) bool {
				return as(all, "app", sent).Contains(chunk.Range{Last: begin})
			})
			if got := as(c.Chunks(), "other", 0); len(got) > 0 {
				t.Errorf("%v came as the other type before the rest was settled", got)
			}
			c.SettleAll(true)
			c.Settle()
			got := c.Wait("lines of the other type", func(all []chunk.Chunk) bool {
				return as(all, "other", 0).Contains(chunk.Range{First: begin, Last: int64(len(lines(0, 800)))})
			})
			if before, now := as(got, "app", 0), as(got, "other", 0); len(before) != 1 || before[0].Last != begin || len(now) != 1 || now[0].First != begin {
				t.Errorf("%v came as the type before and %v as the other, want them to part at %d", before, now, begin)
			}
			a.wait("one", "settled", func(v view) bool { return len(v.Position) == 1 && settled(v) })
		})
	}
}

// What the collector before never settled goes to the new adaptor's collectors,
// and what it settles late moves nothing.
func TestStreamGoesOutAnotherWayUnderAnotherPersona(t *testing.T) {
	t.Parallel()
	dir, one, two := t.TempDir(), collectortest.New(t, "one"), collectortest.New(t, "two")
	logs, path := filepath.Join(dir, "logs"), filepath.Join(dir, "logs", "app.log")
	if err := os.Mkdir(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, path, lines(0, 500))
	personas := "personas: {apart: {collectors: [" + two.URL + "]}}\nadaptors:\n"
	a := startFile(t, dir, personas+tailer("before", "app", logs+"/*.log"), one.URL)
	first := one.Wait("the first lines", func(all []chunk.Chunk) bool { return missing(t, all, 500) == 0 })
	a.write(a.base + personas + strings.Replace(tailer("after", "app", logs+"/*.log"), "kind: tail", "kind: tail, persona: apart", 1))
	reloadConfig(t, a, 200)
	write(t, path, lines(500, 800))
	second := two.Wait("all lines", func(all []chunk.Chunk) bool { return missing(t, all, 800) == 0 })
	if x, y := streamsOf(first, "app"), streamsOf(second, "app"); len(x) != 1 || !slices.Equal(x, y) {
		t.Errorf("the file came in the streams %q and then %q, want one", x, y)
	}
	one.Settle() // late
	two.SettleAll(true)
	write(t, path, lines(800, 1000))
	two.Wait("the last lines", func(all []chunk.Chunk) bool { return missing(t, all, 1000) == 0 })
	a.wait("after", "settled", func(v view) bool {
		return len(v.Position) == 1 && v.Position[0].Size == int64(len(lines(0, 1000))) && settled(v)
	})
}
