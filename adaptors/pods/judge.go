package pods

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/pods/internal/unzip"
)

// A file that is listed is one of these, asked in this order:
//
//  1. a file that is open: its inode tells.
//  2. a file that was read or seen before and is not open, also in an earlier
//     life of the agent: inode, birth time, head, and the bytes before what
//     was sent.
//  3. compressed: the file that had the name before, or, where nobody saw the
//     rotation, and with docker always, one whose head it has.
//  4. a new file. Rotated ones follow each other by name, the present log
//     comes last.
//
// To judge is to read: what is found is done with by look, once the names stood
// still meanwhile.

// sight is a listed file and which one it is.
type sight struct {
	entry
	info ident.Info // of what has the name
	is   *file      // of the chain, or new
	o    *os.File   // it, where it was not open before
}

// verdict is what a listing holds.
type verdict struct {
	sights []sight
	anew   []*file // of the sights, those that nobody knew before
	moved  bool    // a name was gone when it was looked at
	again  bool    // a compressed file is not whole yet
	cut    *cutBack
}

// judge tells which files a listing speaks of. known are those that the chain
// has, and those that were opened as they appeared.
func (in *instance) judge(l *listing, known []*file) (verdict, error) {
	var v verdict
	for _, gz := range [...]bool{false, true} { // an inode says more than what is compressed
		for _, e := range l.entries {
			if e.gz != gz {
				continue
			}
			find := in.judgePlain
			if gz {
				find = in.judgeZip
			}
			s, err := find(l, e, known, &v)
			switch {
			case errors.Is(err, fs.ErrNotExist): // renamed since
				v.moved = true
			case err != nil:
				return v, errors.Join(err, v.close())
			case s.is != nil:
				v.sights = append(v.sights, s)
			}
		}
	}
	return v, nil
}

// has reports whether a file was seen already.
func (v *verdict) has(f *file) bool {
	for i := range v.sights {
		if v.sights[i].is == f {
			return true
		}
	}
	return false
}

// close closes what was opened of files that are known: it is opened again.
func (v *verdict) close() error {
	var errs []error
	for i := range v.sights {
		if o := v.sights[i].o; o != nil {
			errs = append(errs, o.Close())
		}
	}
	return errors.Join(errs...)
}

// judgePlain tells which file has a name now.
func (in *instance) judgePlain(l *listing, e entry, known []*file, v *verdict) (sight, error) {
	path := l.pathOf(e)
	info, err := ident.Stat(path)
	if err != nil {
		return sight{}, fmt.Errorf("look at %s: %w", path, err)
	}
	for _, f := range known {
		if f.f != nil && f.key == info.Key() {
			return sight{entry: e, info: info, is: f}, nil
		}
	}
	for _, f := range known {
		if f.f != nil || v.has(f) || !f.mayBe(&l.place, e.name, &info) {
			continue
		}
		o, now, err := openLog(path)
		if err != nil {
			return sight{}, err
		}
		same, err := in.same(f)(o, now.Size)
		var cut *cutBack
		if err == nil {
			cut, err = in.lostItsEnd(f, o, now.Size, same)
		}
		if cut != nil && (v.cut == nil || in.before(f, v.cut.file)) {
			v.cut = cut
		}
		if err == nil && (same || cut != nil) && now.Key() == info.Key() {
			return sight{entry: e, info: now, is: f, o: o}, nil
		}
		_ = o.Close() // only read from
		if err != nil {
			return sight{}, fmt.Errorf("compare %s with what was sent of it: %w", path, err)
		}
	}
	if !l.mayBeNew(e, in.folder.before) || l.link && e.name != l.log && info.Size == 0 { // docker writes nothing more to it
		return sight{}, nil
	}
	o, info, err := openLog(path)
	if err != nil {
		return sight{}, err
	}
	f := &file{id: ident.Identity{Path: e.name}}
	f.attach(o, &info)
	v.anew = append(v.anew, f)
	return sight{entry: e, info: info, is: f}, nil
}

// mayBeNew reports whether a file that nobody knows is to be read: not where it
// was read and forgotten.
func (l *listing) mayBeNew(e entry, before string) bool {
	return !l.lasting(e.name) || e.name > before
}

// judgeZip tells of which file a compressed one is the copy.
func (in *instance) judgeZip(l *listing, e entry, known []*file, v *verdict) (sight, error) {
	path := l.pathOf(e)
	info, err := ident.Stat(path)
	if err != nil {
		return sight{}, fmt.Errorf("look at %s: %w", path, err)
	}
	s := sight{entry: e, info: info}
	if l.lasting(e.name) {
		for _, f := range known {
			if !v.has(f) && f.id.Path == e.name {
				s.is = f
				return s, nil
			}
		}
		if !l.mayBeNew(e, in.folder.before) {
			return s, nil
		}
	}
	if l.link && info.Size < emptyZip {
		if size, err := unzip.Size(path); err == nil && size == 0 {
			return s, nil
		}
	}
	var wait bool
	if s.is, wait, err = in.original(path, &info, v.originals(l, e, &info, known), l.link); err != nil {
		return sight{}, err
	}
	if wait {
		v.again = true
		return sight{}, nil
	}
	if s.is == nil {
		s.is = &file{id: ident.Identity{Path: e.name}}
		v.anew = append(v.anew, s.is)
	}
	return s, nil
}

// emptyZip is more than a compressed file has that holds nothing, and less than
// one has that holds 4 GiB, of which it tells the same length.
const emptyZip = 1 << 10

// originals are the files that a compressed one may be the copy of. The
// kubelet's are those that were rotated while nobody looked; docker's are first
// those between one that has an older name and one that has a newer.
func (v *verdict) originals(l *listing, e entry, info *ident.Info, known []*file) []*file {
	from, to := 0, len(known)
	for i, f := range known {
		for _, s := range v.sights {
			switch {
			case s.is != f || !l.link:
			case l.compare(s.name, e.name) < 0:
				from = max(from, i)
			default:
				to = min(to, i)
			}
		}
	}
	var inode, between, beyond []*file // beyond: one was begun before an older one was found
	for i, f := range known {
		switch {
		case l.link && !v.has(f) && f.f == nil && f.gz && f.id.Ino != 0 && f.id.SameInode(info):
			inode = append(inode, f)
		case v.has(f) || f.virgin() || !l.link && f.id.Path != l.log:
		case i >= from && i <= to:
			between = append(between, f)
		default:
			beyond = append(beyond, f)
		}
	}
	return slices.Concat(inode, between, beyond)
}

// original finds the file of which a compressed one is the copy, by its head and
// its length. wait says that the compressed file may not be whole yet.
func (in *instance) original(path string, info *ident.Info, maybe []*file, docker bool) (found *file, wait bool, err error) {
	if len(maybe) == 0 {
		return nil, false, nil
	}
	z, err := unzip.Open(path)
	if unzip.Damaged(err) {
		return nil, time.Since(time.Unix(0, info.Modified)) < in.times.still, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = z.Close() }()
	for _, f := range maybe {
		same, err := in.isCopy(z, f, docker)
		if err != nil || same {
			return f, false, err
		}
	}
	return nil, false, nil
}

// isCopy reports whether a compressed file holds what a file held. Docker
// writes nothing more to a file that was rotated.
func (in *instance) isCopy(z *unzip.File, f *file, docker bool) (bool, error) {
	size, whole := in.told(f)
	whole = whole && docker
	if f.f != nil { // all of it is known: nobody compresses what is still written to
		info, err := ident.Fstat(f.f)
		if err != nil {
			return false, fmt.Errorf("look at %s: %w", f.id.Path, err)
		}
		size, whole = info.Size, true
	}
	if whole && uint32(size) != uint32(z.Size()) {
		return false, nil
	}
	if f.f == nil {
		same, err := in.same(f)(z, -1)
		if err != nil && unzip.Damaged(err) { // what can't be read is another's
			return false, nil
		}
		return same, err
	}
	for _, from := range [...]int64{0, max(0, size-ident.MaxTail)} { // logs may begin alike
		want := make([]byte, min(size, ident.MaxHead))
		n, err := f.f.ReadAt(want, from)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, fmt.Errorf("read %s: %w", f.id.Path, err)
		}
		have := make([]byte, n)
		if m, _ := z.ReadAt(have, from); m < n || !bytes.Equal(have, want[:n]) { // what can't be read is another's
			return false, nil
		}
	}
	return true, nil
}

// before reports whether one file of the chain comes before another.
func (in *instance) before(a, b *file) bool {
	for _, f := range in.files() {
		if f == a || f == b {
			return f == a && a != b
		}
	}
	return false
}
