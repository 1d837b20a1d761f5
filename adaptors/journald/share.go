package journald

import (
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"slices"
	"strings"

	"github.com/akupara/akupara/adaptors"
)

// selection stands for which entries are read: no two adaptors of one type read
// the same.
func (r *run) selection() uint64 {
	return crc64.Checksum([]byte(fmt.Sprintf("%s\x00%d", strings.Join(r.cfg.args(), "\x00"), r.cfg.MaxField)), table)
}

// acquire waits until no other adaptor of the type reads the same entries, and
// takes the streams of one that did. It returns with ctx's error, or that of the
// checkpoints.
func (r *run) acquire(ctx context.Context) error {
	source := r.cfg.source()
	for {
		version := r.env.Claims.Version()
		holder, ok := r.claims.Claim(r.env.Type, 0, r.selection())
		if ok {
			var held adaptors.HeldError
			err := r.takeOver()
			if !errors.As(err, &held) {
				r.board.Skip(source, "")
				return err
			}
			// It has yet to claim the entries, or to be stopped.
			r.claims.Drop(r.env.Type, 0, r.selection())
			holder, version = held.Adaptor, r.env.Claims.Version()
		}
		if r.board.Skip(source, fmt.Sprintf("adaptor %q of the same type reads the same entries", holder)) {
			r.env.Log.Info("the journal is left to another adaptor, which reads the same entries of it", "holder", holder)
		}
		for version == r.env.Claims.Version() {
			if err := r.idle(ctx, r.times.share); err != nil || ctx.Err() != nil {
				return errors.Join(err, ctx.Err())
			}
		}
	}
}

// takeOver takes the streams of these entries from an adaptor that is gone,
// where this one has none of its own.
func (r *run) takeOver() error {
	if len(r.env.Streams.Known()) > 0 {
		return nil
	}
	for _, k := range r.env.Streams.Others() {
		id, err := decodeIdentity(k.Identity)
		if err != nil || k.Type != r.env.Type || !r.chosen(&id) {
			continue
		}
		if _, err := r.env.Streams.Take(k.ID); err != nil {
			return err
		}
	}
	return nil
}

// chosen reports whether a stream's entries are those that the config chooses.
func (r *run) chosen(id *identity) bool {
	return slices.Equal(id.Args, r.cfg.args()) && id.MaxField == int(r.cfg.MaxField)
}
