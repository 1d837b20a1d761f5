package replay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/akupara/akupara/adaptors/internal/replay"
	"github.com/akupara/akupara/chunk"
)

type output func(ctx context.Context) error

func (f output) Send(ctx context.Context, _ *chunk.Chunk) error { return f(ctx) }

func TestPatientTriesAgainUntilAChunkIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Duration
		var notes []bool
		start := time.Now()
		p := &replay.Patient{First: time.Second, Last: 2 * time.Second, Note: func(err error) { notes = append(notes, err == nil) }}
		p.Out = output(func(context.Context) error {
			if tries = append(tries, time.Since(start)); len(tries) < 4 {
				return errFull
			}
			return nil
		})
		if err := p.Send(t.Context(), &chunk.Chunk{}); err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprint(tries, notes), "[0s 1s 3s 5s] [false false false true]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestPatientGivesUpWhenNoTryCanHelp(t *testing.T) {
	for want, tried := range map[error]error{
		chunk.ErrInvalid: fmt.Errorf("%w: it lies", chunk.ErrInvalid),
		context.Canceled: errFull,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		p := &replay.Patient{First: time.Hour, Last: time.Hour, Note: func(err error) {
			if !errors.Is(err, chunk.ErrInvalid) {
				cancel()
			}
		}}
		p.Out = output(func(context.Context) error { return tried })
		if got := p.Send(ctx, &chunk.Chunk{}); !errors.Is(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		cancel()
	}
}
