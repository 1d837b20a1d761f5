package agentd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/akupara/akupara/checkpoints"
	"golang.org/x/sys/unix"
)

func TestFullDiskAtTheStartIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		tries := 0
		got, err := opened(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), func() (string, error) {
			if tries++; tries < 100 {
				return "", fmt.Errorf("write the journal: %w", unix.ENOSPC)
			}
			return "open", nil
		})
		if got != "open" || err != nil || tries != 100 {
			t.Errorf("got %q, %v after %d tries, want it open after 100", got, err, tries)
		}
		if n := strings.Count(log.String(), "is full"); n != 1 {
			t.Errorf("the log says %d times that the disk is full, want once", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := opened(ctx, slog.New(slog.DiscardHandler), func() (int, error) { return 0, unix.EDQUOT }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("told to stop while it waits: got %v, want ctx's error", err)
		}
	})
}

func TestDirectoryOfAnotherProcessIsWaitedForShortly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := opened(t.Context(), slog.New(slog.DiscardHandler), func() (int, error) { return 0, checkpoints.ErrLocked })
		if d := time.Since(began); !errors.Is(err, checkpoints.ErrLocked) || d < lockPatience || d > 2*lockPatience {
			t.Errorf("got %v after %v, want ErrLocked after %v", err, d, lockPatience)
		}
	})
}
