package pods

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/pods/internal/cri"
	"github.com/akupara/akupara/adaptors/pods/internal/unzip"
)

// look matches what there is with the chain: every file of the chain gets its
// name, and what is new is put behind it.
func (in *instance) look() error {
	in.changed = true       // names, at the least
	held := in.takeOpened() // they may be gone in a moment
	// A rename between the listing and the look at a name leaves a file out,
	// or takes a later one for it: what is found counts once nothing moved.
	for range 10 {
		l, err := listFiles(in.root, &in.container, &in.folder.place)
		if err != nil {
			in.mail.arrive(held...)
			return err
		}
		known := append(in.files(), held...)
		v, err := in.judge(&l, known)
		still := false
		if err == nil {
			still, err = in.stood(&l, &v, known)
		}
		if still && v.cut == nil {
			in.apply(&l, &v, held)
			return nil
		}
		_ = v.close() // only read from
		for _, f := range v.anew {
			if f.isOpen() {
				held = append(held, f)
			}
		}
		if still {
			in.at.cutBack = v.cut // nothing of the stream goes on
		}
		if err != nil || still {
			in.mail.arrive(held...)
			return err
		}
	}
	in.mail.arrive(held...)
	in.folder.again = true
	return fmt.Errorf("look at %s: its files are renamed all the time", in.folder.place.dir)
}

// takeOpened takes the files that were opened as they appeared. Those that are
// known already stand for what is known.
func (in *instance) takeOpened() (held []*file) {
	open := map[ident.Key]bool{}
	known := in.files()
	for _, f := range known {
		if f.f != nil {
			open[f.key] = true
		}
	}
	for _, f := range in.mail.takeFresh() {
		// Of a stream that goes on from before the present log may have lost its end.
		if open[f.key] || !in.folder.looked && in.isOpen() && f.hasName() {
			f.close()
			continue
		}
		open[f.key] = true
		if k := in.closed(f, known); k != nil {
			k.takeOver(f)
			continue
		}
		held = append(held, f)
	}
	return held
}

// closed returns the file of those that are known and not open that an open one
// is; nil where it is none.
func (in *instance) closed(f *file, known []*file) *file {
	info := ident.Info{Ino: f.id.Ino, Birth: f.id.Birth}
	for _, k := range known {
		if k.f == nil && k.mayBe(&in.folder.place, f.name, &info) {
			if same, err := in.same(k)(f.f, f.size); err == nil && same {
				return k
			}
		}
	}
	return nil
}

// stood reports whether what was judged is what there was all the time. Where
// nothing is new and nothing missing it was, as long as names last.
func (in *instance) stood(l *listing, v *verdict, known []*file) (bool, error) {
	sure := l.place == in.folder.place && !l.link && len(v.anew) == 0 && !v.moved
	for _, f := range known {
		sure = sure && (v.has(f) || !f.exists())
	}
	if sure {
		return true, nil
	}
	again, err := listFiles(in.root, &in.container, &in.folder.place)
	if err != nil || again.place != l.place || again.names() != l.names() {
		return false, err
	}
	for i := range v.sights {
		if !l.link {
			break
		}
		s := &v.sights[i]
		if info, err := ident.Stat(l.pathOf(s.entry)); err == nil && info.Key() == s.info.Key() {
			continue
		}
		return false, nil // it is another file by now, or gone
	}
	return !v.moved, nil
}

// apply does what was judged: it alone changes which files the chain knows, and
// their names. held are files that were new a moment ago.
func (in *instance) apply(l *listing, v *verdict, held []*file) {
	in.folder.place = l.place
	known, anew := in.files(), append(in.recognise(held, v), v.anew...)
	for i := range v.sights {
		s := &v.sights[i]
		switch {
		case s.o != nil:
			s.is.attach(s.o, &s.info)
		case s.is.f != nil && !s.gz && s.info.Size > s.is.size:
			s.is.saw(s.info.Size)
		}
		s.is.called(s.entry, &s.info)
		if s.gz && in.unreadOf(s.is) {
			s.is.hold(in.folder.place.dir)
		}
	}
	for _, f := range append(known, anew...) {
		if !v.has(f) {
			f.gone()
		}
	}
	if v.again {
		in.folder.again = true
	}
	in.next = append(in.next, slices.DeleteFunc(anew, func(f *file) bool { return in.emptyBefore(f) })...)
	in.sortNext()
	in.adopt()
	in.mail.setSeen(l.seen)
	if !l.there && !in.folder.absent {
		in.folder.since = time.Now()
	}
	in.folder.nowhere = l.there && l.link && len(l.entries) == 0
	in.folder.absent, in.folder.later, in.folder.looked = !l.there, l.later, true
}

// emptyBefore reports whether a new file holds nothing and was rotated before
// the file that is being read: as the one after it would end it. It is closed.
func (in *instance) emptyBefore(f *file) bool {
	last := in.last()
	if last == nil || !last.growing() || f.size > 0 || f.name == in.folder.place.log {
		return false
	}
	if f.gz && f.z == nil { // its size is not known
		return false
	}
	if name := last.file.name; name == "" || in.folder.place.compare(name, f.name) < 0 {
		return false
	}
	f.close()
	return true
}

// unreadOf reports whether anything of a file is still to be read.
func (in *instance) unreadOf(f *file) bool {
	begun := false
	for _, p := range in.parts {
		if p.file == f {
			if begun = true; !p.Gone && (p.growing() || p.Base+p.Len > in.out.Off()) {
				return true
			}
		}
	}
	return !begun
}

// adopt finds files of which nothing is known among those that are new: they
// were seen by another name, or another inode's.
func (in *instance) adopt() {
	lost := func(f *file) bool { return f.virgin() && !f.exists() }
	in.next = slices.DeleteFunc(in.next, lost)
	if last := in.last(); last != nil && last.growing() && last.From == 0 && lost(last.file) && len(in.next) > 0 {
		last.file, in.next = in.next[0], in.next[1:]
	}
}

// recognise finds out which files were opened as they appeared, and are found by
// no name now: what it returns are those that are new.
func (in *instance) recognise(held []*file, v *verdict) (anew []*file) {
	for _, f := range held {
		if v.has(f) {
			anew = append(anew, f)
			continue
		}
		info, err := ident.Fstat(f.f)
		if err == nil && info.Links == 0 && info.Size == 0 && f.mayGrow() == no {
			f.close()
			continue
		}
		if k := in.copied(f, &info, v); k != nil {
			k.takeOver(f)
			continue
		}
		anew = append(anew, f)
	}
	return anew
}

// copied returns the file of those that are seen compressed that an open one
// was; nil where it is none.
func (in *instance) copied(f *file, info *ident.Info, v *verdict) *file {
	if info.Links > 0 || info.Size == 0 {
		return nil
	}
	for i := range v.sights {
		s := &v.sights[i]
		if !s.gz || s.is.f != nil {
			continue
		}
		z, err := unzip.Open(in.folder.place.pathOf(s.entry))
		if err != nil {
			continue // it was renamed, and will be looked at again
		}
		same, err := in.isCopy(z, f, in.folder.place.link)
		_ = z.Close() // only read from
		if err == nil && same {
			return s.is
		}
	}
	return nil
}

// sortNext puts the files that are not begun in the order they were written.
func (in *instance) sortNext() {
	p := &in.folder.place
	slices.SortStableFunc(in.next, func(a, b *file) int {
		switch {
		case a.exists() && b.exists():
			return p.compare(a.name, b.name)
		case p.link && a.exists() != b.exists(): // docker removes the oldest
			if a.exists() {
				return 1
			}
			return -1
		case a.name == p.log:
			return 1
		case b.name == p.log:
			return -1
		case p.link || a.id.Path == p.log || b.id.Path == p.log: // gone with no other name: as they came
			return 0
		}
		return strings.Compare(a.id.Path, b.id.Path)
	})
}

// findLate looks for bytes that were appended to a file after its end was
// reported, has them read now, and reports whether there are any.
func (in *instance) findLate() bool {
	last := in.last()
	if last == nil || !last.growing() || in.out.Off() < in.out.Sent() || in.out.Off() < last.Base || in.at.cut.State != (cri.State{}) {
		return false
	}
	for _, p := range in.parts[:len(in.parts)-1] {
		if upTo, ok := in.told(p.file); ok && !p.file.gz && p.file.size > upTo {
			in.late(p.file, upTo, in.out.Off())
			return true // others follow
		}
	}
	return false
}
