package parse

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/rows"
)

// loghub finds the loghub collection: below AKUPARA_TEST_DATA, or beside the
// checkout in shared/data.
func loghub(t *testing.T) string {
	dirs := []string{os.Getenv("AKUPARA_TEST_DATA")}
	if wd, err := os.Getwd(); err == nil {
		dirs = append(dirs, filepath.Join(wd, "../../../shared/data"))
	}
	for _, d := range dirs {
		if d == "" {
			continue
		}
		if st, err := os.Stat(filepath.Join(d, "loghub")); err == nil && st.IsDir() {
			return filepath.Join(d, "loghub")
		}
	}
	t.Skip("the loghub collection is not there: set AKUPARA_TEST_DATA to the folder that holds it")
	return ""
}

// TestLoghub parses real logs and compares the rows with the columns that
// others took from the same lines.
func TestLoghub(t *testing.T) {
	dir := loghub(t)
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	var row map[string]string // the truth's
	when := func(layout, s string) string {
		at, err := time.Parse(layout, s)
		if err != nil {
			t.Fatal(err)
		}
		return at.UTC().Format("2006-01-02T15:04:05.999999Z")
	}
	syslogTime := func(day string) string {
		return when("2006 Jan 2 15:04:05", "2025 "+row["Month"]+" "+day+" "+row["Time"])
	}
	for _, tc := range []struct {
		name, parser string
		want         func() map[string]string
	}{
		{"Hadoop", "log4j", func() map[string]string {
			return map[string]string{"ts": when("2006-01-02 15:04:05,000", row["Date"]+" "+row["Time"]), "level": row["Level"],
				"thread": row["Process"], "logger": row["Component"], "message": row["Content"]}
		}},
		{"Zookeeper", "log4j", func() map[string]string {
			// The truth cuts the thread at its first colon.
			thread, class := row["Node"], row["Component"]
			if i := strings.LastIndex(class, ":"); i >= 0 {
				thread, class = thread+":"+class[:i], class[i+1:]
			}
			return map[string]string{"ts": when("2006-01-02 15:04:05,000", row["Date"]+" "+row["Time"]), "level": row["Level"],
				"thread": thread, "logger": class, "attributes": "line=" + row["Id"], "message": row["Content"]}
		}},
		{"HDFS", "log4j", func() map[string]string {
			return map[string]string{"ts": when("060102 150405", row["Date"]+" "+row["Time"]), "level": row["Level"],
				"thread": row["Pid"], "logger": row["Component"], "message": row["Content"]}
		}},
		{"Apache", "log4j", func() map[string]string {
			return map[string]string{"ts": when("Mon Jan 02 15:04:05 2006", row["Time"]),
				"level": levels.Of([]byte(row["Level"])).String(), "message": row["Content"]}
		}},
		{"Apache", "combined", func() map[string]string {
			return map[string]string{"ts": when("Mon Jan 02 15:04:05 2006", row["Time"]),
				"level": levels.Of([]byte(row["Level"])).String(), "message": row["Content"]}
		}},
		{"Linux", "syslog", func() map[string]string {
			return map[string]string{"ts": syslogTime(row["Date"]), "hostname": row["Level"], "app": row["Component"],
				"pid": strings.TrimSuffix(row["PID"], ".0"), "message": row["Content"]}
		}},
		{"OpenSSH", "syslog", func() map[string]string {
			row["Month"] = row["Date"]
			return map[string]string{"ts": syslogTime(row["Day"]), "hostname": row["Component"], "app": "sshd",
				"pid": row["Pid"], "message": row["Content"]}
		}},
	} {
		t.Run(tc.name+" by "+tc.parser, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join(dir, tc.name+"_2k.log"))
			if err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(filepath.Join(dir, tc.name+"_2k.log_structured.csv"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			truth, err := csv.NewReader(f).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			b := rows.NewBuilder(rows.Options{})
			if err := mustNew(t, tc.parser, Options{}).Parse(t.Context(), body(string(raw)), nil, b); err != nil {
				t.Fatal(err)
			}
			got := table(t, b)
			if len(got) != len(truth)-1 {
				t.Fatalf("got %d rows, want %d", len(got), len(truth)-1)
			}
			wrong := 0
			for i, g := range got {
				row = map[string]string{}
				for k, name := range truth[0] {
					row[name] = truth[i+1][k]
				}
				for k, want := range tc.want() {
					if have := g[k]; squeeze(have) != squeeze(want) || g["parse_error"] != "" {
						if wrong++; wrong <= 10 {
							t.Errorf("line %d, %s: got %q, want %q (%s)", i+1, k, have, want, g["parse_error"])
						}
					}
				}
			}
			if wrong > 10 {
				t.Errorf("and %d more", wrong-10)
			}
		})
	}
}
