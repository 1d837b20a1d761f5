package daemon

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestAChangedFileIsNoticedHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, change func(dir string) error }{
		"in place": {nil, func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("two and more"), 0o644)
		}},
		"renamed over it, as editors do": {nil, func(dir string) error {
			if err := os.WriteFile(filepath.Join(dir, ".a.yaml.swp"), []byte("two"), 0o644); err != nil {
				return err
			}
			return os.Rename(filepath.Join(dir, ".a.yaml.swp"), filepath.Join(dir, "a.yaml"))
		}},
		"a link swapped, as in a ConfigMap": {func(dir string) error { return configMap(dir, "..1", "one") },
			func(dir string) error { return configMap(dir, "..2", "one") }},
		"where its link leads": {func(dir string) error {
			if err := os.Mkdir(filepath.Join(dir, "real"), 0o755); err != nil {
				return err
			}
			if err := os.Rename(filepath.Join(dir, "a.yaml"), filepath.Join(dir, "real", "b")); err != nil {
				return err
			}
			return os.Symlink("real/b", filepath.Join(dir, "a.yaml"))
		}, func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "real", "b"), []byte("two and more"), 0o644)
		}},
		"gone and back": {func(dir string) error { return os.Remove(filepath.Join(dir, "a.yaml")) }, func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("two"), 0o644)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("one"), 0o644); err != nil {
				t.Fatal(err)
			}
			if c.before != nil {
				if err := c.before(dir); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithCancel(context.Background())
			changes, ended := make(chan struct{}, 100), make(chan struct{})
			go func() {
				WatchFile(ctx, filepath.Join(dir, "a.yaml"), quiet, func() { changes <- struct{}{} })
				close(ended)
			}()
			defer func() { cancel(); <-ended }()
			wait := func(what string) {
				t.Helper()
				select {
				case <-changes:
				case <-time.After(time.Minute):
					t.Fatalf("%s was not told", what)
				}
			}
			wait("that it watches")
			if err := c.change(dir); err != nil {
				t.Fatal(err)
			}
			wait("the change")
		})
	}
}

// configMap writes a volume as the kubelet does: a new folder, and a link to it
// that is swapped at once.
func configMap(dir, version, text string) error {
	if err := os.MkdirAll(filepath.Join(dir, version), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, version, "a.yaml"), []byte(text), 0o644); err != nil {
		return err
	}
	tmp := filepath.Join(dir, "..tmp")
	_ = os.Remove(tmp)
	if err := os.Symlink(version, tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(dir, "..data")); err != nil {
		return err
	}
	if _, err := os.Readlink(filepath.Join(dir, "a.yaml")); err == nil {
		return nil
	}
	_ = os.Remove(filepath.Join(dir, "a.yaml"))
	return os.Symlink("..data/a.yaml", filepath.Join(dir, "a.yaml"))
}

func TestHangupsAreTakenAndDoNotEndTheProcess(t *testing.T) {
	signals, stop := Hangups(func() { t.Error("its terminal is there") })
	defer stop()
	for range 2 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		select {
		case <-signals:
		case <-time.After(time.Minute):
			t.Fatal("the signal did not come")
		}
	}
}
