package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/chunk"
)

func droppedPath(st *stream) string { return filepath.Join(st.q.dir, st.id+".dropped") }

// dropOldest deletes the queue's oldest segment; false means that there is
// none. What was not sent of it is told as a Dropped fact. What was sent and is
// not settled may be in the agent's memory alone: it is stored as dropped, to be
// told if it is asked for again, or after the next start.
func (s *Spool) dropOldest(q *queue) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range q.streams {
		for len(st.segs) > 0 {
			seg := st.segs[0]
			empty := seg.size == 0
			if r := (chunk.Range{First: max(seg.base, st.settled), Last: seg.end}); !r.Empty() {
				s.noteDropped(st, r, seg.unsent)
			}
			s.removeFirst(st)
			if !empty {
				token(q.wake)
				return true
			}
		}
	}
	return false
}

// dropRecord drops the record that was to be appended, and tells of what is
// pending with it; q.appends is held.
func (s *Spool) dropRecord(q *queue, c *chunk.Chunk) error {
	st, err := s.activeStream(q)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.host, st.source = c.Host, c.Source
	end := st.end + q.pending.bytes + int64(len(c.Body))
	s.noteDropped(st, chunk.Range{First: st.end, Last: end}, 1)
	s.count(q, Count{Bytes: -q.pending.bytes}) // no full spool did that
	q.pending = pending{}
	st.end = end
	token(q.wake)
	return nil
}

// pending is what filters dropped behind the last record of a queue's stream.
// Nobody else knows of these offsets until a fact of them is written: if the
// agent is killed before, they never were.
type pending struct {
	bytes        int64
	reasons      []string
	host, source string
	since        time.Time
}

// Bounds on how long and in how many words something is pending.
const (
	pendingFor = 10 * time.Second
	maxReasons = 16
)

// Drop notes that a filter dropped what would have been appended: c is a fact
// whose Last-First is its length. It is told before what is appended next, or
// after some seconds, and costs no sync of its own.
func (s *Spool) Drop(k Key, c *chunk.Chunk) {
	s.mu.Lock()
	q := s.queueOf(k)
	s.mu.Unlock()
	q.appends.Lock()
	defer q.appends.Unlock()
	p := &q.pending
	if p.bytes == 0 {
		p.since = time.Now()
	}
	p.bytes += c.Last - c.First
	p.host, p.source = c.Host, c.Source
	if len(p.reasons) < maxReasons && !slices.Contains(p.reasons, c.Reason) {
		p.reasons = append(p.reasons, c.Reason)
	}
	if time.Since(p.since) > pendingFor {
		s.tellPending(q)
	}
}

// fact is the chunk that tells what is pending behind the stream's end.
func (p *pending) fact(st *stream) chunk.Chunk {
	reason := strings.Join(p.reasons, ", ")
	return chunk.Chunk{Kind: chunk.Dropped, Host: p.host, Source: p.source, First: st.end, Last: st.end + p.bytes,
		Time: p.since, Reason: reason[:min(len(reason), chunk.MaxString)]}
}

// tellPending writes the fact of what is pending, where there is room for it;
// q.appends is held.
func (s *Spool) tellPending(q *queue) {
	if q.pending.bytes == 0 {
		return
	}
	st, err := s.activeStream(q)
	if err != nil {
		return // it stays pending
	}
	fact := q.pending.fact(st)
	q.frame = appendFrame(q.frame[:0], &fact)
	if s.haveRoom(q, int64(len(q.frame))) == nil && s.write(q, st, true, &fact) == nil {
		q.pending = pending{}
	}
}

// count counts what a full spool dropped; s.mu is held.
func (s *Spool) count(q *queue, n Count) {
	s.stats.Dropped += n.Bytes
	sum := s.dropped[q.key.Adaptor]
	s.dropped[q.key.Adaptor] = Count{sum.Bytes + n.Bytes, sum.Records + n.Records}
}

// noteDropped stores the fact that r was dropped, with so many records that were
// not sent before, and queues and counts it as far as that is so.
func (s *Spool) noteDropped(st *stream, r chunk.Range, records int64) {
	st.dropped = st.dropped.Add(r)
	if tell := (chunk.Range{First: max(r.First, st.sent), Last: r.Last}); !tell.Empty() {
		s.count(st.q, Count{tell.Len(), records})
		if n := len(st.tell); n > 0 && st.tell[n-1].Last == tell.First {
			st.tell[n-1].Last = tell.Last
		} else {
			st.tell = append(st.tell, tell)
		}
	}
	// On a disk without a free byte this fails; the fact is then lost only if
	// the agent is killed before it is settled, and shows as a gap.
	if err := s.storeDropped(st, r); err != nil {
		s.log.Error("can't store what the full spool dropped", "stream", st.id, "first", r.First, "last", r.Last, "error", err)
	}
}

func (s *Spool) storeDropped(st *stream, r chunk.Range) error {
	f, err := s.cfg.Disk.OpenFile(droppedPath(st), os.O_CREATE|os.O_WRONLY|os.O_APPEND, fileMode)
	if err != nil {
		return fmt.Errorf("open facts: %w", err)
	}
	c := chunk.Chunk{Kind: chunk.Dropped, Host: st.host, Source: st.source, First: r.First, Last: r.Last,
		Time: time.Now(), Reason: fullReason}
	_, err = f.Write(appendFrame(nil, &c))
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close(), s.cfg.Disk.SyncDir(st.q.dir)); err != nil {
		return fmt.Errorf("store facts: %w", err)
	}
	return nil
}
