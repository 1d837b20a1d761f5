package collectord

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/wire"
	"github.com/akupara/akupara/store"
)

// receiptsLimit bounds how long a request for receipts looks into the store.
// What was found by then is remembered: the next request gets further.
const receiptsLimit = 10 * time.Second

// giveReceipts tells how far batches have come. What the spool does not hold
// is looked up in the store; while that is away, and only then, there is no
// answer, since neither "unknown" nor "settled" would be true.
func (c *Collector) giveReceipts(g *gin.Context, p *parts) {
	var req wire.ReceiptsRequest
	body := http.MaxBytesReader(g.Writer, g.Request.Body, wire.MaxReceiptsBody)
	if err := json.NewDecoder(body).Decode(&req); err != nil {
		answer(g, refuse(http.StatusBadRequest, "read the request: %w", err))
		return
	}
	if err := checkQueries(req.Receipts); err != nil {
		answer(g, refuse(http.StatusBadRequest, "%w", err))
		return
	}
	c.metrics.asked.Add(float64(len(req.Receipts)))
	ctx, cancel := context.WithTimeout(g.Request.Context(), receiptsLimit)
	defer cancel()
	states := make([]wire.State, len(req.Receipts))
	var looks errgroup.Group
	looks.SetLimit(8)
	for i, q := range req.Receipts {
		id := store.Segment(q.Segment)
		// The spool first: a segment leaves it only after it was published.
		if blocks, known := p.spool.Lookup(q.Type, id); known {
			states[i] = state(q.Block < blocks, wire.Spooled)
			continue
		}
		looks.Go(func() error {
			blocks, err := p.files.Blocks(ctx, q.Type, id)
			states[i] = state(q.Block < blocks, wire.Settled)
			return err
		})
	}
	if err := looks.Wait(); err != nil {
		answer(g, fmt.Errorf("the store can't be asked at the moment: %w", err))
		return
	}
	g.JSON(http.StatusOK, wire.ReceiptsResponse{States: states})
}

func state(holds bool, s wire.State) wire.State {
	if holds {
		return s
	}
	return wire.Unknown
}

// checkQueries refuses what must not become part of a path.
func checkQueries(queries []wire.Query) error {
	if len(queries) > wire.MaxReceipts {
		return fmt.Errorf("%d receipts asked for, at most %d are allowed", len(queries), wire.MaxReceipts)
	}
	for i, q := range queries {
		if err := chunk.CheckType(q.Type); err != nil {
			return fmt.Errorf("receipt %d: %w", i, err)
		}
		if err := store.Segment(q.Segment).Check(); err != nil {
			return fmt.Errorf("receipt %d: %w", i, err)
		}
		if q.Block < 0 {
			return fmt.Errorf("receipt %d: block %d", i, q.Block)
		}
	}
	return nil
}
