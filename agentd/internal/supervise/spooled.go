package supervise

import (
	"context"
	"sync"

	"github.com/akupara/akupara/agentd/internal/ledger"
	"github.com/akupara/akupara/agentd/internal/spool"
	"github.com/akupara/akupara/chunk"
)

// SpoolOut joins the agent's spool to the ledgers and shippers of its streams'
// personas.
type SpoolOut struct {
	Spool *spool.Spool
	Route func(persona string) Route
	Level func(adaptor string) ledger.Level // must not block

	routes sync.Map // by stream: the one that it was opened with
}

// Open implements spool.Out.
func (o *SpoolOut) Open(k spool.Key, stream string, from int64) {
	r := o.Route(k.Persona)
	o.routes.Store(stream, r)
	r.Ledger.Open(stream, &spooled{o, k.Adaptor}, from)
}

// Send implements spool.Out.
func (o *SpoolOut) Send(ctx context.Context, c *chunk.Chunk) error {
	return o.route(c.Stream).Out.Send(ctx, c)
}

func (o *SpoolOut) route(stream string) Route {
	if r, ok := o.routes.Load(stream); ok {
		return r.(Route)
	}
	return o.Route("")
}

// spooled is the spool as the source of one adaptor's streams.
type spooled struct {
	out     *SpoolOut
	adaptor string
}

// Settled implements ledger.Source.
func (s *spooled) Settled(stream string, upTo int64) {
	if s.out.Spool.Settled(stream, upTo) {
		s.out.route(stream).Ledger.Close(stream)
		s.out.routes.Delete(stream)
	}
}

// Resend implements ledger.Source.
func (s *spooled) Resend(stream string, r chunk.Range) { s.out.Spool.Resend(stream, r) }

// Adaptor implements ledger.Source.
func (s *spooled) Adaptor(string) string { return s.adaptor }

// Level implements ledger.Source.
func (s *spooled) Level() ledger.Level { return s.out.Level(s.adaptor) }
