package pods

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/internal/replay"
	"github.com/akupara/akupara/adaptors/pods/internal/cri"
)

// stored is a stream's Identity.
type stored struct {
	Parts  []storedPart `json:"parts"`
	Link   string       `json:"link,omitempty"`   // what the log leads to, where it is a symlink
	Typed  bool         `json:"typed,omitempty"`  // the stream's stored type is that of its chunks
	Before string       `json:"before,omitempty"` // rotated files whose names are not greater were read
	Done   bool         `json:"done,omitempty"`   // read to its end, and the container's next instance has begun
	CutAt  int64        `json:"cut_at,omitempty"` // where a record was cut last
	Cut    cri.State    `json:"cut,omitzero"`
}

type storedPart struct {
	File ident.Identity `json:"file"`
	GZ   bool           `json:"gz,omitempty"`   // it is compressed: so it is the inode's
	Same bool           `json:"same,omitempty"` // the file of an earlier part: File is its name alone
	From int64          `json:"from,omitempty"`
	Base int64          `json:"base"`
	Len  int64          `json:"len"`
	Gone bool           `json:"gone,omitempty"`
}

func (in *instance) encode() []byte {
	s := stored{Before: in.folder.before, Done: in.at.done, CutAt: in.at.mark.at, Cut: in.at.mark.State}
	s.Typed = in.choice.typed || !in.isOpen()
	if in.folder.place.link {
		s.Link = in.folder.place.path()
	}
	for i, p := range in.parts {
		sp := storedPart{File: p.file.id, GZ: p.file.gz, From: p.From, Base: p.Base, Len: p.Len, Gone: p.Gone}
		for _, q := range in.parts[:i] {
			sp.Same = sp.Same || q.file == p.file
		}
		s.Parts = append(s.Parts, sp)
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("pods: %v", err)) // plain fields only
	}
	return b
}

func (in *instance) decode(b []byte, now time.Time) error {
	var s stored
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("decode a chain of log files: %w", err)
	}
	in.folder.before, in.at.done, in.at.mark = s.Before, s.Done, cutState{s.CutAt, s.Cut}
	in.at.cut, in.choice.typed = in.at.mark, s.Typed
	if s.Link != "" {
		in.folder.place = linkedPlace(s.Link)
	}
	for i, sp := range s.Parts {
		growing := sp.Len < 0 && i == len(s.Parts)-1
		if sp.File.HeadLen < 0 || sp.File.HeadLen > ident.MaxHead || sp.Base < 0 || sp.From < 0 || sp.Len < 0 && !growing {
			return fmt.Errorf("decode a chain of log files: part %d can't be", i)
		}
		p := &part{From: sp.From, Base: sp.Base, Len: sp.Len, Gone: sp.Gone}
		for _, q := range in.parts {
			if sp.Same && q.file.id.Path == sp.File.Path && q.file.id.Ino == sp.File.Ino {
				p.file = q.file
			}
		}
		if p.file == nil {
			p.file = &file{id: sp.File, gz: sp.GZ, grewAt: now} // unseen from the first look on
		}
		p.file.size = max(p.file.size, p.From+max(p.Len, 0))
		in.parts = append(in.parts, p)
	}
	return nil
}

// containerOf reads a stored stream's source.
func containerOf(source string) (container, bool) {
	elements := strings.Split(source, "/")
	c, _, ok := parsePath(strings.Join(elements[max(0, len(elements)-3):], "/"))
	return c, ok
}

// restore makes the instance that a checkpoint holds.
func restore(env *adaptors.Env, root string, k adaptors.Stream, t times) (*instance, error) {
	c, ok := containerOf(k.Source)
	if !ok {
		return nil, fmt.Errorf("%q is no container's log", k.Source)
	}
	in := newInstance(env, root, c, t)
	if err := in.decode(k.Identity, time.Now()); err != nil {
		return nil, err
	}
	in.source, in.out = k.Source, replay.Restore(env, k)
	if in.choice.typed {
		in.choice.dataType = k.Type
	}
	return in, nil
}
