package ledger

import "github.com/akupara/akupara/chunk"

// Level is what secures a byte, so that a position may move over it. The
// names are Flume's.
type Level int32

const (
	// EndToEnd: a sink file in the store holds it. It survives the loss of any
	// one machine.
	EndToEnd Level = iota
	// StoreOnFailure: a collector has it on its disk. It survives any crash,
	// not the loss of that disk.
	StoreOnFailure
	// BestEffort: it was handed to a post. Nothing is promised.
	BestEffort
)

var levelNames = [...]string{"end_to_end", "store_on_failure", "best_effort"}

func (l Level) String() string { return levelNames[l] }

// LevelOf reads a level's name; any other is EndToEnd, the default.
func LevelOf(name string) Level {
	for i, n := range levelNames {
		if n == name {
			return Level(i)
		}
	}
	return EndToEnd
}

// Posting must be called before a batch is handed to a collector for the first
// time: for streams of BestEffort that is all it takes.
func (l *Ledger) Posting(entries []chunk.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.secure(entries, BestEffort) // the rest is Accepted's
}

// secure settles what belongs to streams whose level asks for no more than
// this one, and returns what that is; all says that it is everything. l.mu is
// held.
func (l *Ledger) secure(entries []chunk.Entry, level Level) (parts map[string]*part, all bool) {
	all = true
	for i := range entries {
		e := &entries[i]
		st := l.streams[e.Stream]
		if st == nil || st.source.Level() < level {
			all = false
			continue
		}
		p := parts[e.Stream]
		if p == nil {
			if parts == nil {
				parts = map[string]*part{}
			}
			p = &part{}
			parts[e.Stream] = p
		}
		p.add(e)
	}
	for id, p := range parts {
		l.tell(l.settle(id, l.streams[id], p))
	}
	return parts, all
}

// Relevel looks again at what waits, after sources have changed their levels:
// what a collector took is settled where no more is asked for now.
func (l *Ledger) Relevel() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, seg := range l.segments {
		for id, p := range seg.streams {
			st := l.streams[id]
			if st == nil || st != p.of || st.source.Level() < StoreOnFailure {
				continue
			}
			l.tell(l.settle(id, st, p))
			delete(seg.streams, id)
			l.entries--
		}
		if len(seg.streams) == 0 {
			delete(l.segments, key)
		}
	}
	l.fell()
}
