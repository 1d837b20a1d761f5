package pods

import (
	"time"
)

// beginNext makes the next file the last part, with its head known.
func (r *reader) beginNext(in *instance) error {
	f := in.next[0]
	src, err := f.reader(in.folder.place.dir, in.same(f))
	if err != nil {
		if in.givesUp(&part{file: f}, err) {
			in.start()
			in.lose(len(in.parts)-1, in.last().Base, 0, f.size > 0)
			return nil
		}
		return err
	}
	if err := f.look(); err != nil {
		return err
	}
	if _, err := f.growHead(src); err != nil {
		return err
	}
	in.start()
	return nil
}

// advance goes on to the file after the last one, once that one is whole: pos
// is the end of it that was seen. It tells that reading may go on.
func (r *reader) advance(in *instance, pos int64, wake *time.Duration) (bool, error) {
	last := in.last()
	if len(in.next) == 0 {
		return false, nil
	}
	if last.growing() {
		wait, err := in.quiet(last.file, in.times.settle, len(in.next) > 1)
		if err != nil {
			return false, err
		}
		if wait > 0 {
			*wake = wait
			return false, nil
		}
		if last.file.f != nil && last.file.size > last.From+pos-last.Base {
			return true, nil // it has grown meanwhile
		}
		if last.file.f != nil { // the chunk that holds its end may begin in it and end in the next
			if _, err := last.file.growHead(last.file.f); err != nil {
				return false, err
			}
		}
		last.Len = pos - last.Base
	}
	if err := r.beginNext(in); err != nil {
		return false, err
	}
	return true, r.store(in)
}

// quiet returns how long to wait until nothing more is expected to be written to
// a file that has another name by now; 0: no more. over tells that even the
// one after it was rotated.
func (in *instance) quiet(f *file, still time.Duration, over bool) (time.Duration, error) {
	if f.f == nil || over {
		return 0, f.look()
	}
	wait := still
	switch f.mayGrow() {
	case no:
		wait = 0
	case yes:
		wait = in.times.linger
	}
	// Bytes that came before the lease are still to be read.
	if err := f.look(); err != nil {
		return 0, err
	}
	if age := time.Since(f.grewAt); age < wait {
		return min(wait-age, still), nil
	}
	return 0, nil
}
