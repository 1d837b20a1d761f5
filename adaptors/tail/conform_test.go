package tail

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/config"
)

func TestConformance(t *testing.T) {
	for _, watch := range []string{"auto", "poll"} {
		t.Run(watch, func(t *testing.T) {
			var dir string
			n := 0
			adaptortest.Test(t, adaptortest.Kind{
				New: func(t *testing.T) adaptors.Adaptor {
					dir = t.TempDir()
					kind := Kind()
					cfg := kind.NewConfig().(*Config)
					cfg.Paths = []config.Glob{config.Glob(filepath.Join(dir, "*.log"))}
					cfg.Watch = watch
					a, err := kind.New(cfg)
					if err != nil {
						t.Fatal(err)
					}
					a.(*Adaptor).times = testTimes()
					return a
				},
				Feed: func(t *testing.T) {
					n++
					f, err := os.OpenFile(filepath.Join(dir, "a.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
					if err != nil {
						t.Fatal(err)
					}
					defer f.Close()
					fmt.Fprintf(f, "line %d\n", n)
				},
				Finish: func(t *testing.T) {
					if err := os.Remove(filepath.Join(dir, "a.log")); err != nil {
						t.Fatal(err)
					}
				},
				Lose: func(t *testing.T) {
					if err := os.WriteFile(filepath.Join(dir, "a.log"), []byte("written anew\n"), 0o644); err != nil {
						t.Fatal(err)
					}
				},
			})
		})
	}
}

func TestConfigWithoutPathsIsRefused(t *testing.T) {
	for text, want := range map[string]string{"{}": `"paths" is missing`, "{paths: []}": "it is empty", "{paths: [/a], max_record: 9MiB}": "from 4KiB to 8MiB"} {
		cfg := DefaultConfig()
		n, problems := config.Parse("f", []byte(text))
		if err := append(problems, config.Decode(n, &cfg)...).Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	if _, err := Kind().New(42); err == nil {
		t.Error("an adaptor was made from a config of another type")
	}
}

func TestTheExampleInTheReadmeRuns(t *testing.T) {
	r := newRig(t)
	cfg, ok := adaptortest.Example(t, Kind(), "/srv/app", r.dir).(*Config)
	if !ok || cfg.RecordStart.Regexp == nil {
		t.Fatalf("got %+v, want records of several lines", cfg)
	}
	r.cfg = *cfg
	r.mkdir("web")
	one, two := "2026-01-01 failed\n\tat x\n", "2026-01-02 fine\n"
	r.write("web/app.log", one+two)
	r.write("web/debug.log", "2026-01-01 left alone\n")
	r.start()
	r.whole(one, two)
}
