package agentd

import (
	"cmp"
	"slices"
)

// streamView is a stream as the API shows it.
type streamView struct {
	Adaptor string `json:"adaptor"`
	Stream  string `json:"stream"`
	Source  string `json:"source"`
	Begin   int64  `json:"begin"`
	Read    int64  `json:"read"`
	Settled int64  `json:"settled"`
	Sent    int64  `json:"sent"`
	Size    int64  `json:"size"`
	Ended   bool   `json:"ended"`
	Live    bool   `json:"live"` // its adaptor shows it
}

type streamsView struct {
	Streams []streamView `json:"streams"`
	Total   int          `json:"total"`
}

// storedView is a stream as it is stored.
type storedView struct {
	Adaptor string `json:"adaptor"`
	Stream  string `json:"stream"`
	Source  string `json:"source"`
	Begin   int64  `json:"begin"`
	Settled int64  `json:"settled"`
	Sent    int64  `json:"sent"`
	Ended   bool   `json:"ended"`
}

type checkpointsView struct {
	Agent      string       `json:"agent"`
	Generation uint64       `json:"generation"`
	Damaged    int          `json:"damaged"`
	Streams    []storedView `json:"streams"`
	Total      int          `json:"total"`
}

// page is a part of a list.
type page struct {
	adaptor       string // of this one alone; empty: of all
	limit, offset int
}

// cut takes the page out of a list that is the caller's own.
func cut[T any](list []T, p page) []T {
	list = list[min(p.offset, len(list)):]
	return append([]T{}, list[:min(p.limit, len(list))]...)
}

// checkpoints tells what is stored, also of adaptors that are not there any
// more.
func (f *fleet) checkpoints(p page) checkpointsView {
	v := checkpointsView{Agent: f.store.AgentID(), Generation: f.store.Generation(), Damaged: f.store.Damaged()}
	all := f.storedStreams(p.adaptor)
	v.Total, v.Streams = len(all), cut(all, p)
	return v
}

func (f *fleet) storedStreams(adaptor string) []storedView {
	var all []storedView
	for _, name := range f.store.Adaptors() {
		if adaptor != "" && name != adaptor {
			continue
		}
		for _, s := range f.store.Streams(name) {
			if len(s.Identity) == 0 && s.Sent == 0 { // a kind's own note
				continue
			}
			all = append(all, storedView{name, s.ID, s.Source, s.Begin, s.Settled, s.Sent, s.Ended})
		}
	}
	slices.SortStableFunc(all, func(a, b storedView) int {
		return cmp.Or(cmp.Compare(a.Adaptor, b.Adaptor), cmp.Compare(a.Source, b.Source))
	})
	return all
}

// streams joins what is stored with what the adaptors show.
func (f *fleet) streams(p page) streamsView {
	index := map[string]int{}
	all := []streamView{}
	for _, s := range f.storedStreams(p.adaptor) {
		index[s.Stream] = len(all)
		all = append(all, streamView{s.Adaptor, s.Stream, s.Source, s.Begin, s.Settled, s.Settled, s.Sent, max(s.Sent, s.Settled), s.Ended, false})
	}
	for _, a := range f.supervisor.List() {
		if p.adaptor != "" && a.Name != p.adaptor {
			continue
		}
		for _, pos := range a.Position {
			i, known := index[pos.Stream]
			if !known {
				if pos.Stream == "" { // nothing of it was sent yet
					continue
				}
				i = len(all)
				all = append(all, streamView{Adaptor: a.Name, Stream: pos.Stream, Source: pos.Path, Sent: pos.Read})
			}
			s := &all[i]
			s.Read, s.Settled, s.Size, s.Live = pos.Read, pos.Settled, pos.Size, true
		}
	}
	slices.SortStableFunc(all, func(a, b streamView) int {
		return cmp.Or(cmp.Compare(a.Adaptor, b.Adaptor), cmp.Compare(a.Source, b.Source))
	})
	return streamsView{cut(all, p), len(all)}
}
