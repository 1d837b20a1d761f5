package collectord

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/wire"
	"github.com/akupara/akupara/collectord/internal/spool"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/daemon/rest"
)

// memoryWait is how long a request waits, unread, for room in memory.
const memoryWait = 5 * time.Second

func (c *Collector) routes(p *parts, health *daemon.Health) http.Handler {
	e := rest.NewEngine(c.log)
	e.POST(wire.BatchesPath, func(g *gin.Context) { c.takeBatch(g, p.spool) })
	e.POST(wire.ReceiptsPath, func(g *gin.Context) { c.giveReceipts(g, p) })
	e.GET("/v1/status", func(g *gin.Context) { g.JSON(http.StatusOK, c.Status()) })
	rest.Reload(e, c.opts.Reloader, Section, *c.cfg.Load())
	rest.Ops(e, c.reg, health)
	return e
}

// refusal is an answer that is not 200. A permanent one says that the same
// bytes will be refused again.
type refusal struct {
	status    int
	permanent bool
	reason    wire.Reason // "" but where only one data type is refused
	err       error
}

func (r *refusal) Error() string { return r.err.Error() }

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status: status, permanent: status < http.StatusInternalServerError, err: fmt.Errorf(format, args...)}
}

// refused is the refusal that err is or stands for: that of a data type is for
// good, as far as the batch goes, so that agents of all versions try others.
func refused(err error) *refusal {
	var r *refusal
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, spool.ErrTooManyTypes):
		return &refusal{status: http.StatusConflict, permanent: true, reason: wire.TooManyTypes, err: err}
	}
	return &refusal{status: http.StatusServiceUnavailable, err: err}
}

// answer sends what err says.
func answer(g *gin.Context, err error) (status int) {
	r := refused(err)
	if r.status == http.StatusServiceUnavailable {
		g.Header("Retry-After", "1")
	}
	g.AbortWithStatusJSON(r.status, wire.Error{Error: r.err.Error(), Permanent: r.permanent, Reason: r.reason})
	return r.status
}

// takeBatch answers for one batch. It answers 200 only when the batch is
// durable; after anything else nothing is stored that anybody was told of.
func (c *Collector) takeBatch(g *gin.Context, s *spool.Spool) {
	ticket, err := c.append(g.Request, s)
	if err == nil {
		// The body's memory is free again here: a slow disk takes none.
		err = ticket.Wait(g.Request.Context())
	}
	if err != nil {
		status := answer(g, err)
		c.metrics.refused.WithLabelValues(strconv.Itoa(status)).Inc()
		if status < http.StatusInternalServerError {
			c.log.Debug("refused a batch", "from", g.Request.RemoteAddr, "status", status, "error", err)
		}
		return
	}
	g.JSON(http.StatusOK, wire.Receipt{Segment: string(ticket.Segment), Block: ticket.Block, State: wire.Spooled})
}

// append reads the request's frame, verifies it and appends it to the spool.
func (c *Collector) append(req *http.Request, s *spool.Spool) (spool.Ticket, error) {
	n := req.ContentLength
	switch {
	case n < 0:
		return spool.Ticket{}, refuse(http.StatusLengthRequired, "a batch needs a Content-Length")
	case n > chunk.MaxFrameLen:
		return spool.Ticket{}, refuse(http.StatusRequestEntityTooLarge, "a batch of %d bytes, at most %d are allowed", n, chunk.MaxFrameLen)
	case n < chunk.FramePrefix:
		return spool.Ticket{}, refuse(http.StatusBadRequest, "a batch of %d bytes; its fixed part alone has %d", n, chunk.FramePrefix)
	}
	if err := s.Ready(); err != nil {
		return spool.Ticket{}, err // before the body is read
	}
	memory := int64(lengthFor(int(n)))
	release, err := c.acquire(req.Context(), memory)
	if err != nil {
		return spool.Ticket{}, err
	}
	defer release()
	buf := c.buffers.get(int(n))
	defer c.buffers.put(buf)
	frame := (*buf)[:n]
	if err := readFrame(req.Body, frame); err != nil {
		return spool.Ticket{}, err
	}
	batch, err := chunk.ParseFrame(frame)
	if err != nil {
		return spool.Ticket{}, refuse(http.StatusBadRequest, "%w", err)
	}
	return s.Append(&batch)
}

// acquire takes memory for a body, and waits for it a while. Of the large ones
// there is one at a time: slow senders of a few can't keep all others out.
func (c *Collector) acquire(ctx context.Context, bytes int64) (release func(), err error) {
	large := bytes > maxBuffer
	if !large && c.memory.TryAcquire(bytes) {
		return func() { c.memory.Release(bytes) }, nil
	}
	ctx, cancel := context.WithTimeout(ctx, memoryWait)
	defer cancel()
	if large && c.large.Acquire(ctx, 1) != nil {
		return nil, fmt.Errorf("too many large batches at one time: none was done within %v", memoryWait)
	}
	releaseLarge := func() {
		if large {
			c.large.Release(1)
		}
	}
	if c.memory.Acquire(ctx, bytes) != nil {
		releaseLarge()
		return nil, fmt.Errorf("too many batches at one time: no room in memory within %v", memoryWait)
	}
	return func() {
		c.memory.Release(bytes)
		releaseLarge()
	}, nil
}

// readFrame fills frame from the body, and looks at the frame's own lengths
// before it reads the most of it.
func readFrame(body io.Reader, frame []byte) error {
	start := frame[:chunk.FramePrefix]
	if _, err := io.ReadFull(body, start); err != nil {
		return cutOff(err)
	}
	want, err := chunk.FrameLen(start)
	if err != nil {
		return refuse(http.StatusBadRequest, "%w", err)
	}
	if want != len(frame) {
		return refuse(http.StatusBadRequest, "the Content-Length is %d, the batch says that it has %d bytes", len(frame), want)
	}
	if _, err := io.ReadFull(body, frame[chunk.FramePrefix:]); err != nil {
		return cutOff(err)
	}
	return nil
}

// cutOff is the sender's or the network's failure: the same bytes may be sent
// again.
func cutOff(err error) error {
	return &refusal{status: http.StatusBadRequest, err: fmt.Errorf("the batch was cut off: %w", err)}
}
