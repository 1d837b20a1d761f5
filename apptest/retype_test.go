package apptest

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// fourPorts returns the first of four ports in a row that nobody listens on.
func fourPorts(t *testing.T) int {
	t.Helper()
	for range 100 {
		_, first, _ := net.SplitHostPort(freeAddr(t))
		port, _ := strconv.Atoi(first)
		free := port < 65000
		for i := 1; i < 4 && free; i++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+i))
			if free = err == nil; free {
				l.Close()
			}
		}
		if free {
			return port
		}
	}
	t.Fatal("no four free ports in a row")
	return 0
}

// A file whose format changes in its middle, and one whose first lines said nothing, go on
// as the type that they are, and each line is in one table once, also where all is killed
// right when the type changes.
func TestUpLetsAFileOfAnotherFormatGoOnAsThat(t *testing.T) {
	t.Parallel()
	dir, logs := t.TempDir(), t.TempDir()
	changing, misleading, steady := filepath.Join(logs, "shop.log"), filepath.Join(logs, "late.log"), filepath.Join(logs, "syslog")
	syslog := func(first, last int) string { return each(first, last, "Nov 22 21:09:57 web1 app[1]: shop %d") }
	jsonl := func(first, last int) string {
		return each(first, last, `{"time":"2026-11-22T21:09:57Z","level":"info","msg":"shop %d"}`)
	}
	log4j := func(first, last int) string {
		return each(first, last, "2026-11-22 21:09:57,123 INFO [main] org.example.Late: late %d")
	}
	writeFile(t, changing, syslog(0, 300))
	writeFile(t, steady, each(0, 200, "Nov 22 21:09:57 web1 cron[7]: steady %d"))
	writeFile(t, misleading, each(0, 4, "This is how the program late says hello, part %d"))
	port := fourPorts(t)
	up := start(t, "up", "akupara", "up", "--data", dir, "--logs", logs, "--look-every", "1s", "--port", strconv.Itoa(port))
	config := filepath.Join(dir, "akupara.yaml")
	query := func(sql string) string {
		out, _ := akupara(t, "query", "--data", dir, "--format", "csv", sql)
		_, out, _ = strings.Cut(out, "\n")
		return strings.TrimSpace(out)
	}
	read := func(of string) func() bool {
		return func() bool {
			text, status := akupara(t, "streams", "--data", dir, "--json")
			var v struct {
				Streams []struct {
					Source     string
					Read, Size int64
					Live       bool
				}
			}
			if status != 0 || json.Unmarshal([]byte(text), &v) != nil {
				return false
			}
			for _, s := range v.Streams {
				info, err := os.Stat(of)
				if err == nil && s.Live && s.Source == of && s.Read == info.Size() {
					return true
				}
			}
			return false
		}
	}
	eventually(t, slow, "what is there first is in tables", func() bool {
		return query("select count(*) from syslog") == "500" && query("select count(*) from raw where source like '%late.log'") == "4"
	})
	appendFile(t, misleading, log4j(0, 300))
	changed := func(name, dataType string) func() bool {
		return func() bool {
			text, err := os.ReadFile(config)
			_, after, ok := strings.Cut(string(text), "name: file-"+name+"-")
			return err == nil && ok && strings.HasPrefix(strings.Join(strings.Fields(after)[1:], " "), "kind: tail type: "+dataType+" ")
		}
	}
	eventually(t, slow, "the config says that late.log is log4j's", changed("late-log", "log4j"))
	appendFile(t, changing, jsonl(300, 800))
	eventually(t, slow, "the config says that shop.log is JSON", changed("shop-log", "json"))
	up.kill()
	appendFile(t, changing, jsonl(800, 1000))
	up.start()
	eventually(t, slow, "shop.log is read", read(changing))
	if code := up.stop(); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	up.start()
	appendFile(t, changing, jsonl(1000, 1100))
	appendFile(t, misleading, log4j(300, 600))
	eventually(t, slow, "all is read", func() bool { return read(changing)() && read(misleading)() })
	if code := up.stop(); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	mustAkupara(t, "demux", "--once", "--data", dir)
	all := `(select message, 's' as t from syslog where source like '%shop.log' union all select message, 'j' from json where source like '%shop.log')`
	if got := query(`select count(*) || ' ' || count(distinct regexp_extract(message, 'shop [0-9]+')) from ` + all); got != "1100 1100" {
		t.Errorf("rows of shop.log and different ones: %s, want 1100 of each", got)
	}
	if got := query(`select count(*) >= 100 and min(level) = 'INFO' and max(message) like 'shop %' and count(*) filter (parse_error is not null) = 0 from json where source like '%shop.log'`); got != "true" {
		t.Errorf("what came after the change is in json, with its columns: %s, want true", got)
	}
	if got := query(`select count(*) from syslog where source like '%/syslog'`); got != "200" {
		t.Errorf("another file of the former type has %s rows, want 200", got)
	}
	late := query(`select count(*) || ' ' || count(distinct regexp_extract(message, 'late [0-9]+$')) from (select message from raw where source like '%late.log' and message not like 'This%' union all select message from log4j where source like '%late.log')`)
	if late != "600 600" {
		t.Errorf("rows of late.log and different ones: %s, want 600 of each", late)
	}
}

func each(first, last int, format string) string {
	var b strings.Builder
	for i := first; i < last; i++ {
		fmt.Fprintf(&b, format+"\n", i)
	}
	return b.String()
}
