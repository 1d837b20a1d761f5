package spooldir

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
)

// countedLog counts warnings.
type countedLog struct {
	slog.Handler
	warnings atomic.Int32
}

func (l *countedLog) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

func (l *countedLog) Handle(context.Context, slog.Record) error {
	l.warnings.Add(1)
	return nil
}

func TestManyFilesThatFailAtOnceAreNotOneWarningEach(t *testing.T) {
	w := newWorld(t, soon)
	log := &countedLog{}
	w.log = slog.New(log)
	for i := range 200 {
		w.write(fmt.Sprint(i), fmt.Sprintf("file %d\n", i))
	}
	var tries atomic.Int32
	w.rec.Refuse(func(*chunk.Chunk) error { tries.Add(1); return errors.New("no space left on device") })
	started := time.Now()
	w.start()
	w.eventually("files are tried again", func() bool { return tries.Load() > 1000 })
	w.rec.Refuse(nil)
	w.eventually("all files are read", func() bool { return w.ends() == 200 })
	if n, most := int(log.warnings.Load()), 1+int(time.Since(started)/(5*time.Second)); n == 0 || n > most {
		t.Errorf("%d warnings, want at least one and at most %d", n, most)
	}
}

func TestTheLastErrorOfAFileGoesWithIt(t *testing.T) {
	w := newWorld(t, soon)
	w.rec.FailOpen(errors.New("no space left on device"))
	w.write("a", "never read\n")
	w.start()
	w.eventually("it is said", func() bool { return strings.Contains(w.a.Status().LastErr, "no space left") })
	w.remove("a")
	w.eventually("it is not said any more", func() bool { return w.a.Status().LastErr == "" })
}
