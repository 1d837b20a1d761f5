package demux

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store/storetest"
)

// until waits for a condition, for as long as a machine under load may take.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("waited for 2 minutes: %s", what)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// of makes the chunk one of another data type.
func of(dataType string, c chunk.Chunk) chunk.Chunk {
	c.Type = dataType
	return c
}

func TestTypesThatFailForGoodKeepNoOtherFromRunning(t *testing.T) {
	inner := testStore(t)
	st := storetest.NewFaulty(inner)
	st.FailWith(func(op, path string) error {
		if strings.HasPrefix(path, "tables/bad") && strings.Contains(path, "/data/") {
			return errors.New("no room for this type")
		}
		return nil
	})
	d := testDemux(t, st, func(c *Config) {
		if err := c.Schedule.UnmarshalText([]byte("@every 1s")); err != nil {
			t.Fatal(err)
		}
	})
	for i := range 3 * maxLooking {
		publish(t, inner, []chunk.Chunk{of(fmt.Sprintf("bad%02d", i), lines("a", 0, 10))})
	}
	publish(t, inner, []chunk.Chunk{lines("a", 0, 10)})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- NewScheduler(d, Options{}).Run(ctx) }()
	// At each schedule anew, not just at the first, while the others try again.
	for n := 10; n <= 30; n += 10 {
		until(t, fmt.Sprintf("%d rows of the type that can run", n), func() bool { return len(tableRows(t, inner)) == n })
		publish(t, inner, []chunk.Chunk{lines("a", int64(n)*lineLen, 10)})
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("the scheduler goes on after its end was asked for")
	}
}
