package tail

import (
	"fmt"
	"os"
	"path/filepath"
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
			})
		})
	}
}

func TestConfigWithoutPathsIsRefused(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("an adaptor without paths was made")
	}
	if _, err := Kind().New(42); err == nil {
		t.Error("an adaptor was made from a config of another type")
	}
}
