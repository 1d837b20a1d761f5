package parse

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/akupara/akupara/demux/rows"
)

// countdown is a context that ends after it was asked n times.
type countdown struct {
	context.Context
	n int
}

func (c *countdown) Err() error {
	if c.n--; c.n < 0 {
		return context.Canceled
	}
	return nil
}

func TestParsingEndsAtAnyRecord(t *testing.T) {
	text := strings.Repeat("one\n", 100)
	for n := range 101 {
		b := rows.NewBuilder(rows.Options{})
		err := mustNew(t, "raw", Options{}).Parse(&countdown{t.Context(), n}, body(text), nil, b)
		if errors.Is(err, context.Canceled) != (n < 100) || b.Len() != n {
			t.Fatalf("asked %d times: %v after %d rows", n, err, b.Len())
		}
	}
}
