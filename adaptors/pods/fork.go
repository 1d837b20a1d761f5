package pods

import (
	"fmt"
	"os"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// When a node loses its power, a log may lose an end that was sent already, and
// is written on. Its file is still the same, but holds other bytes from there on.
// Its stream ends, and a fork of it goes on: what equals the stream's bytes at
// the same offsets is no second record, and all else is the fork's own.

// lostItsEnd reports whether a file, which has a known one's inode, begins like it
// and lacks, or holds otherwise, what was sent of it behind that.
func (in *instance) lostItsEnd(f *file, o *os.File, size int64, same bool) (*cutBack, error) {
	if in.folder.looked || !in.isOpen() || f.gz || size == 0 {
		return nil, nil
	}
	head, err := ident.ReadHead(o)
	if err != nil {
		return nil, fmt.Errorf("read the head of %s: %w", o.Name(), err)
	}
	if f.id.Shared(head) == 0 {
		return nil, nil
	}
	if told, ok := in.told(f); same && (!ok || size >= told) {
		return nil, nil
	}
	return &cutBack{f, head}, nil
}

// fork makes the instance that goes on in place of one whose file was cut back:
// from the beginning of that file, or from where it is settled if that is less.
func (r *reader) fork(in *instance) *instance {
	cut := in.at.cutBack
	in.at.forked = true
	out := newInstance(r.env, in.root, in.container, in.times)
	out.folder.place, out.folder.before = in.folder.place, in.folder.before
	out.choice = in.choice
	out.choice.typed = true
	out.at.fork, out.at.begin = in.out.ID(), in.out.Settled()
	clones := map[*file]*file{}
	for _, p := range in.parts {
		f := clones[p.file]
		if f == nil {
			f = &file{id: p.file.id, gz: p.file.gz, size: p.file.size, grewAt: p.file.grewAt}
			clones[p.file] = f
		}
		q := &part{file: f, From: p.From, Base: p.Base, Len: p.Len, Gone: p.Gone}
		out.parts = append(out.parts, q)
		if p.file == cut.file {
			f.id.SetHead(cut.head)
			f.size, q.Len, q.Gone = 0, -1, false
			out.at.begin = min(out.at.begin, q.Base)
			break
		}
	}
	r.env.Log.Warn("a container's log holds less, or other bytes, than were sent of it, as after a loss of power; a fork of its stream goes on",
		"log", in.source, "stream", in.out.ID())
	return out
}
