package pods

import (
	"errors"
	"fmt"
	"time"

	"github.com/akupara/akupara/adaptors"
)

// own makes sure that no other adaptor collects an instance, whose choice is
// made, as the same type. instead is what goes on in its place: with the stream
// of another adaptor, or without the one that another has by now.
func (r *reader) own(in *instance) (instead *instance, err error) {
	if in.choice.owned {
		return nil, nil
	}
	var ok bool
	if in.choice.holder, ok = r.owners.claim(in); !ok {
		return nil, nil
	}
	in.choice.holder = ""
	var st adaptors.Stream
	switch {
	case in.isOpen() && in.choice.released:
		_, err = r.env.Streams.Take(in.out.ID())
	case !in.isOpen():
		st, err = r.owners.take(in)
	}
	var held adaptors.HeldError
	switch {
	case errors.As(err, &held):
		r.owners.drop(in)
		if in.isOpen() {
			in = newInstance(r.env, in.root, in.container, in.times)
			instead = in
		}
		in.choice.holder = held.Adaptor
		return instead, nil
	case err != nil:
		r.owners.drop(in)
		return nil, fmt.Errorf("take the stream of %s: %w", in.source, err)
	}
	in.choice.owned, in.choice.released = true, false
	if st.ID == "" {
		return nil, nil
	}
	instead, err = restore(r.env, in.root, st, in.times)
	if err != nil {
		r.env.Log.Error("a stored stream can't be matched with its log, which is read again from its beginning",
			"log", st.Source, "stream", st.ID, "error", err)
		return nil, nil
	}
	instead.choice = in.choice
	instead.choice.typed = true // by its type it was found
	instead.out.Tags = in.choice.tags[""]
	return instead, nil
}

// release lets others take the stream of an instance that is not collected, or
// not found.
func (r *reader) release(in *instance) {
	if !in.isOpen() || in.choice.released {
		return
	}
	if in.choice.owned {
		r.owners.drop(in)
	}
	in.choice.owned, in.choice.released = false, true
	r.env.Streams.Release(in.out.ID())
}

// elsewhere reports for how long it is another adaptor's chance to take the
// stream of an instance: for good, -1, while it is not collected here, and for
// some time where none of its files is found.
func (r *reader) elsewhere(in *instance) time.Duration {
	switch {
	case in.choice.excluded && !in.folder.absent:
		r.release(in)
		return -1
	case !in.isOpen() || !in.folder.absent || in.isThere():
		return 0
	}
	r.release(in)
	return max(0, in.times.missing-time.Since(in.folder.since))
}

// isThere reports whether any of an instance's files can be read.
func (in *instance) isThere() bool {
	for _, f := range in.files() {
		if f.isOpen() || f.exists() {
			return true
		}
	}
	return false
}
