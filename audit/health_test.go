package audit_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/audit"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/quarantine"
	"github.com/akupara/akupara/demux/trouble"
	"github.com/akupara/akupara/query/querytest"
	"github.com/akupara/akupara/store"
)

// forms returns the report as JSON and as text.
func forms(t *testing.T, r audit.Report) (asJSON, text string) {
	t.Helper()
	j, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return string(j), b.String()
}

// onDisk is a file of the store on the disk.
func onDisk(s *querytest.Store, p string) string {
	return filepath.Join(strings.TrimPrefix(s.URI, "file://"), filepath.FromSlash(p))
}

// newest returns the last file of a folder whose name ends so.
func newest(t *testing.T, s *querytest.Store, dir, ext string) string {
	t.Helper()
	list, err := s.FS.List(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	found := ""
	for _, f := range list {
		if strings.HasSuffix(f.Path, ext) {
			found = f.Path
		}
	}
	if found == "" {
		t.Fatalf("no %s in %s", ext, dir)
	}
	return found
}

func dataFile(t *testing.T, s *querytest.Store) string {
	t.Helper()
	return newest(t, s, newest(t, s, "tables/app/data", ""), ".parquet")
}

func setAside(t *testing.T, s *querytest.Store, why string, chunks ...chunk.Chunk) {
	t.Helper()
	p := s.Publish(t, chunks...)
	if err := quarantine.Put(t.Context(), s.FS, "app", p, "a"+path.Base(p), []quarantine.Fault{{Block: 0, Chunk: -1, Reason: why}}); err != nil {
		t.Fatal(err)
	}
}

func TestEachThingWrongIsNamedAndFails(t *testing.T) {
	tell := func(t *testing.T, s *querytest.Store, dataType string, x trouble.Trouble) {
		t.Helper()
		if err := trouble.Write(t.Context(), s.FS, dataType, "a", &x); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(t *testing.T, s *querytest.Store, p string) {
		t.Helper()
		if err := os.Remove(onDisk(s, p)); err != nil {
			t.Fatal(err)
		}
	}
	flip := func(t *testing.T, s *querytest.Store, p string) {
		t.Helper()
		b, err := os.ReadFile(onDisk(s, p))
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 4
		if err := os.WriteFile(onDisk(s, p), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		harm func(t *testing.T, s *querytest.Store)
		json string // in the report
		text string
		fine bool
	}{
		"nothing": {func(*testing.T, *querytest.Store) {}, `"damaged":[]`, "no gaps, no overlaps", true},
		"records in quarantine": {
			func(t *testing.T, s *querytest.Store) { setAside(t, s, "it is odd", data("s", 20, 3)) },
			`"quarantined":[{"type":"app","host":"h1","source":"/var/log/s","stream":"s","first":30,"last":50,"file":"quarantine/app/`,
			"it is odd", false,
		},
		"records in quarantine that the table holds": {
			func(t *testing.T, s *querytest.Store) { setAside(t, s, "it is odd", data("s", 0, 3)) },
			`"quarantined":[]`, "no gaps, no overlaps", true,
		},
		"records in quarantine that are in raw, too": {
			func(t *testing.T, s *querytest.Store) {
				setAside(t, s, "it is odd", data("s", 30, 2))
				s.Publish(t, data("s", 30, 2))
			},
			`"quarantined":[]`, "no gaps, no overlaps", true,
		},
		"records in quarantine of a type without a table": {
			func(t *testing.T, s *querytest.Store) {
				p := s.Publish(t, querytest.Data("other", "o", 0, ten))
				if err := quarantine.Put(t.Context(), s.FS, "other", p, "a", []quarantine.Fault{{Block: 0, Chunk: 0, Reason: "a panic"}}); err != nil {
					t.Fatal(err)
				}
			},
			`"type":"other","host":"h1","source":"/var/log/o","stream":"o","first":0,"last":10`, "akupara quarantine release", false,
		},
		"a file in quarantine without an index": {
			func(t *testing.T, s *querytest.Store) {
				setAside(t, s, "it is odd", data("s", 0, 3))
				p := newest(t, s, newest(t, s, "quarantine/app", ""), store.SinkExt)
				if err := os.WriteFile(onDisk(s, p), []byte("garbage"), 0o644); err != nil {
					t.Fatal(err)
				}
			},
			`"unreadable":["quarantine/app/`, "what they held is not known", false,
		},
		"a type that fails": {
			func(t *testing.T, s *querytest.Store) {
				tell(t, s, "app", trouble.Trouble{Failing: &trouble.Failing{Since: time.Unix(0, 0), Times: 3, Error: "it does not work"}})
			},
			`"failing":[{"type":"app","since":"1970-01-01T`, "3 times: it does not work", false,
		},
		"a type that fails and has no table": {
			func(t *testing.T, s *querytest.Store) {
				tell(t, s, "new", trouble.Trouble{Failing: &trouble.Failing{Times: 2, Error: "it does not work"}})
			},
			`"failing":[{"type":"new"`, "2 times: it does not work", false,
		},
		"a file that is set aside": {
			func(t *testing.T, s *querytest.Store) {
				tell(t, s, "app", trouble.Trouble{Aside: []trouble.Aside{{Path: "raw/app/x.avro", Tries: 4, Error: "no bytes", Streams: []trouble.Stream{{Stream: "q", Ranges: chunk.Ranges{{First: 3, Last: 9}}}}}}})
			},
			`"aside":[{"type":"app","path":"raw/app/x.avro"`, "stream q  bytes [[3,9)]", false,
		},
		"trouble that can't be read": {
			func(t *testing.T, s *querytest.Store) {
				if err := os.WriteFile(onDisk(s, trouble.Path("app")), []byte("{"), 0o644); err != nil {
					t.Fatal(err)
				}
			},
			`"kind":"trouble"`, "_trouble.json", false,
		},
		"a clock that is behind": {
			func(t *testing.T, s *querytest.Store) { tell(t, s, "app", trouble.Trouble{Ahead: "2h"}) },
			`"failing":[]`, "no gaps, no overlaps", true,
		},
		"a data file that is missing": {
			func(t *testing.T, s *querytest.Store) { remove(t, s, dataFile(t, s)) },
			`"kind":"data file","why":"is missing"`, "akupara repair TYPE", false,
		},
		"a data file that was cut": {
			func(t *testing.T, s *querytest.Store) {
				if err := os.Truncate(onDisk(s, dataFile(t, s)), 100); err != nil {
					t.Fatal(err)
				}
			},
			`"kind":"data file"`, "100 bytes", false,
		},
		"metadata that is damaged": {
			func(t *testing.T, s *querytest.Store) {
				flip(t, s, newest(t, s, "tables/app/metadata", ".metadata.json"))
			},
			`"kind":"metadata"`, "akupara repair TYPE", false,
		},
		"metadata that is missing": {
			func(t *testing.T, s *querytest.Store) {
				remove(t, s, newest(t, s, "tables/app/metadata", ".metadata.json"))
			},
			`"kind":"metadata"`, "missing", false,
		},
		"coverage that is damaged": {
			func(t *testing.T, s *querytest.Store) { flip(t, s, newest(t, s, "tables/app/_coverage", "")) },
			`"kind":"coverage"`, "was not compared", false,
		},
		"a folder in a sink file's place": {
			func(t *testing.T, s *querytest.Store) {
				if err := os.MkdirAll(onDisk(s, "raw/app/2026-03-01/20260301T100000.000000Z-c1-000077.avro"), 0o755); err != nil {
					t.Fatal(err)
				}
			},
			`-000077.avro","kind":"sink file"`, "damaged", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := querytest.New(t)
			s.Commit(t, "raw", data("s", 0, 3))
			s.Commit(t, "raw", querytest.Data("whole", "w", 0, ten)) // other tables are audited all the same
			c.harm(t, s)
			r := run(t, s)
			asJSON, text := forms(t, r)
			if !strings.Contains(asJSON, c.json) {
				t.Errorf("%s is not in %s", c.json, asJSON)
			}
			if !strings.Contains(text, c.text) {
				t.Errorf("%s is not in:\n%s", c.text, text)
			}
			if r.OK() != c.fine {
				t.Errorf("OK: got %v, want %v:\n%s", r.OK(), c.fine, text)
			}
			if r.Streams == 0 || r.Records == 0 {
				t.Errorf("got %d streams, %d records: the other table is not in", r.Streams, r.Records)
			}
		})
	}
}
