package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/akupara/akupara/chunk"
	"golang.org/x/sys/unix"
)

func droppedPath(st *stream) string { return filepath.Join(st.q.dir, st.id+".dropped") }

// dropOldest deletes the queue's oldest segment; false means that there is
// none. What was not sent of it is told as a Dropped fact.
func (s *Spool) dropOldest(q *queue) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range q.streams {
		for len(st.segs) > 0 {
			seg := st.segs[0]
			empty := seg.size == 0
			if r := (chunk.Range{First: max(seg.base, st.sent), Last: seg.end}); !r.Empty() {
				s.noteDropped(st, r)
			}
			s.removeLocked(st)
			if !empty {
				token(q.wake)
				return true
			}
		}
	}
	return false
}

// dropRecord drops the record that was to be appended.
func (s *Spool) dropRecord(q *queue, st *stream, c *chunk.Chunk) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.host, st.source = c.Host, c.Source
	s.noteDropped(st, c.Range())
	st.end = c.Last
	token(q.wake)
	return nil
}

// noteDropped stores and queues the fact that r was dropped.
func (s *Spool) noteDropped(st *stream, r chunk.Range) {
	s.stats.Dropped += r.Len()
	st.dropped = st.dropped.Add(r)
	st.tell = append(st.tell, r)
	if len(st.tell) > 1 && st.tell[len(st.tell)-2].Last == r.First {
		st.tell[len(st.tell)-2].Last = r.Last
		st.tell = st.tell[:len(st.tell)-1]
	}
	// On a disk without a free byte this fails; the fact is then lost only if
	// the agent is killed before it is settled, and shows as a gap.
	if err := s.storeDropped(st, r); err != nil {
		s.log.Error("can't store what the full spool dropped", "stream", st.id, "first", r.First, "last", r.Last, "err", err)
	}
}

func (s *Spool) storeDropped(st *stream, r chunk.Range) error {
	if err := s.op("dropped"); err != nil {
		return err
	}
	f, err := os.OpenFile(droppedPath(st), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open facts: %w", err)
	}
	c := chunk.Chunk{Kind: chunk.Dropped, Host: st.host, Source: st.source, First: r.First, Last: r.Last,
		Time: time.Now(), Reason: fullReason}
	_, err = f.Write(appendFrame(nil, &c))
	if err == nil {
		err = unix.Fdatasync(int(f.Fd()))
	}
	if err := errors.Join(err, f.Close(), syncDir(st.q.dir)); err != nil {
		return fmt.Errorf("store facts: %w", err)
	}
	return nil
}
