package parse

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/colours"
)

// colourful is a format that takes records with their colours: it keeps them in
// messages, or takes them off itself. All others get records without.
type colourful interface{ keepsColours() }

// give gives a record to a format, without its colours where it wants none.
func (r *reader) give(f format, rec []byte) {
	if bytes.IndexByte(rec, colours.Escape) < 0 {
		f.record(r, rec)
		return
	}
	if _, keeps := f.(colourful); keeps {
		f.record(r, rec)
		return
	}
	plain := colours.Off(nil, rec)
	if len(plain) == 0 {
		f.record(r, rec)
		return
	}
	r.coloured, r.plain = rec, plain
	f.record(r, plain)
	r.coloured, r.plain = nil, nil
}

// original returns a record as it was written, where it is one that give took the
// colours off.
func (r *reader) original(rec []byte) []byte {
	if n := len(r.plain); n > 0 && len(rec) == n && &rec[0] == &r.plain[0] {
		return r.coloured
	}
	return rec
}

func (rawFormat) keepsColours()         {}
func (*autoFormat) keepsColours()       {}
func (*criFormat) keepsColours()        {}
func (*log4jFormat) keepsColours()      {}
func (*dissectFormat) keepsColours()    {}
func (*expressionFormat) keepsColours() {}
