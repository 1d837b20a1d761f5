package journald

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/replay"
	"github.com/akupara/akupara/chunk"
)

// chunkBytes of entries are sent together; or those that came within times.age.
const chunkBytes = 256 << 10

// run is one life of the adaptor.
type run struct {
	*Adaptor
	env  adaptors.Env
	byID map[string]*stream
	live *stream // nil: the journal is read from its beginning, and nothing came yet

	claims *adaptors.Claimant
	// behind is set while the journal does not hold the live stream's last
	// entries: it is read from there, and another stream begins with what is new.
	behind *pair

	// Entries that were read of the live stream and not sent yet.
	body  []byte
	since time.Time
	end   pair // behind them
}

func (r *run) loop(ctx context.Context) error {
	if err := r.allowed(); err != nil {
		return err
	}
	r.claims = r.env.Claims.Join(r.env.Name)
	defer r.claims.Leave()
	if err := r.acquire(ctx); err != nil {
		return err
	}
	if err := r.restore(ctx); err != nil {
		return err
	}
	wait := r.times.retry
	follow := false
	for ctx.Err() == nil {
		before := r.end
		err := r.session(ctx, follow)
		if ctx.Err() != nil {
			continue // to the end
		}
		if r.end != before {
			wait = r.times.retry
		}
		pause := wait
		var vacuumed errVacuumed
		switch followed := follow; {
		case errors.As(err, &vacuumed) && followed:
			// It follows the entries of the last boot alone: what is behind the last
			// entry, which is of an earlier one, is to be seen without following.
			if follow = false; wait == r.times.retry {
				pause = 0
			}
		case errors.As(err, &vacuumed):
			went, err := r.anew(ctx, vacuumed)
			if err != nil {
				return err
			}
			if went {
				pause = 0
			}
		case err != nil:
			follow = false
			if r.board.Fail(nil, err) {
				r.env.Log.Warn("reading the journal broke off; it goes on from the last entry", "error", err)
			}
		case len(r.cfg.Files) > 0: // it can't follow single files
			pause, wait = r.times.poll, r.times.retry
		case !followed:
			follow, pause = true, 0
		default:
			follow = false
			r.board.Fail(nil, errors.New("journalctl ended by itself"))
		}
		if pause > 0 || errors.As(err, &vacuumed) {
			wait = min(2*wait, r.times.slow)
		}
		if err := r.idle(ctx, pause); err != nil {
			return err
		}
	}
	return nil
}

// allowed makes sure that the journal lies in the folders that are allowed.
func (r *run) allowed() error {
	if r.cfg.Directory != "" {
		if err := r.cfg.roots.HoldsPath(r.cfg.Directory); err != nil {
			return err
		}
	}
	if r.cfg.roots == nil {
		return nil
	}
	for _, g := range r.cfg.Files {
		if err := holdsFiles(r.cfg.roots, string(g)); err != nil {
			return err
		}
	}
	return nil
}

// holdsFiles returns why a pattern that journalctl expands by glob(3) must not be
// given to it. Links in folders that match can't be checked against the roots, and
// .* matches "..", so that wildcards stand in the file's name alone.
func holdsFiles(roots adaptors.Roots, pattern string) error {
	dir, name := filepath.Split(pattern)
	if strings.ContainsAny(dir, `*?[{\`) || strings.ContainsAny(name, `{\`) || strings.HasPrefix(name, ".") {
		return fmt.Errorf("%s: want wildcards (* ? [) in the file's name alone, which must not start with a dot, where agent.allow_paths bounds it: %w",
			pattern, adaptors.ErrOutside)
	}
	if err := roots.HoldsPattern(pattern); err != nil {
		return err
	}
	found, err := filepath.Glob(pattern)
	if err != nil {
		return fmt.Errorf("%s: %w", pattern, err)
	}
	for _, path := range found {
		if err := roots.HoldsPath(path); err != nil {
			return err
		}
	}
	return nil
}

// idle waits, and takes mail.
func (r *run) idle(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return nil
		case <-ctx.Done():
			return nil
		case <-r.Wake():
			if err := r.mail(ctx); err != nil && r.board.Fail(nil, err) {
				r.env.Log.Warn("entries can't be sent again yet", "error", err)
			}
		}
	}
}

// restore takes what the checkpoint holds, and sends again what is not settled.
// Streams of another config, or that were followed by others, are finished.
func (r *run) restore(ctx context.Context) error {
	var known []*stream
	for _, k := range r.env.Streams.Known() {
		id, err := decodeIdentity(k.Identity)
		if err != nil {
			r.env.Log.Error("a stored stream of the journal can't be read", "stream", k.ID, "error", err)
			continue
		}
		s := &stream{out: replay.Restore(&r.env, k), ident: id}
		if id.DoubtEnd > 0 && k.Settled <= id.DoubtEnd {
			s.out.Doubt(id.DoubtEnd)
		}
		known = append(known, s)
		r.add(s)
	}
	slices.SortFunc(known, func(a, b *stream) int { return a.ident.Number - b.ident.Number })
	if n := len(known); n > 0 {
		last := known[n-1]
		if !last.out.Ended() && r.chosen(&last.ident) {
			r.live = last
		} else if err := r.follow(ctx, last, pair{Cursor: last.ident.last().Cursor, At: last.ident.last().At}); err != nil {
			return err
		}
	} else if r.cfg.Start == "end" {
		cursor, err := r.newest(ctx)
		if err != nil {
			return err
		}
		if err := r.open(ctx, 1, pair{Cursor: cursor}, ""); err != nil {
			return err
		}
	}
	for _, s := range known {
		if rg := (chunk.Range{First: s.out.Off(), Last: s.ident.last().Off}); !rg.Empty() {
			if err := r.replay(ctx, s, rg); err != nil {
				return err
			}
		}
		if s != r.live {
			if err := s.out.End(ctx, "its adaptor reads other entries now"); err != nil {
				return err
			}
		}
	}
	if r.live != nil {
		r.end = r.live.ident.last()
	}
	return nil
}

// newest returns the cursor of the journal's last entry; empty where there is none.
func (r *run) newest(ctx context.Context) (cursor string, err error) {
	err = entries(ctx, r.cfg.Journalctl, append([]string{"--lines=1"}, r.cfg.args()...), 1024, func(e entry) error {
		cursor = e.cursor
		return nil
	})
	return cursor, err
}

// open stores a new stream, which is the live one from here on. It begins at a
// pair: of another stream, of which it is a fork then.
func (r *run) open(ctx context.Context, number int, begin pair, fork string) error {
	s := &stream{out: replay.New(&r.env)}
	s.ident = identity{Number: number, Args: r.cfg.args(), MaxField: int(r.cfg.MaxField), Pairs: []pair{begin}}
	st := adaptors.Stream{Source: r.cfg.source(), Begin: begin.Off, Tail: begin.Sum, Fork: fork}
	if fork == "" && begin.Cursor != "" {
		// The entry that it begins with tells all of its bytes.
		st.Origin = fmt.Sprintf("%x %v %s", r.selection(), begin.At, begin.Cursor)
	}
	if number == 1 && r.cfg.Start == "beginning" && r.env.Streams.Fresh() {
		s.ident.Before = time.Now().UnixMicro()
	}
	st.Identity = s.ident.encode()
	if err := s.out.Open(ctx, st); err != nil {
		return err
	}
	r.live, r.end = s, begin
	r.add(s)
	return nil
}

func (r *run) add(s *stream) {
	r.byID[s.out.ID()] = s
	r.board.Show(s.out, s.out.Source())
}

// follow lets a new stream go on from where old ends.
func (r *run) follow(ctx context.Context, old *stream, begin pair) error {
	return r.open(ctx, old.ident.Number+1, begin, "")
}
