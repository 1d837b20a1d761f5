package spool

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/disk"
)

// Append stores the chunk's body as records of the queue's stream, and returns
// when they are durable, or without sync, when they survive a crash of the
// process alone. It sets Stream, First and Last of c. While the spool is full it
// waits, or drops the queue's oldest records; with nothing else to drop, the new
// ones themselves. A disk that fails otherwise is tried again: with DropOldest a
// few times, then the record is dropped. An error is ctx's, or says what is wrong
// with the chunk; nothing was stored then.
func (s *Spool) Append(ctx context.Context, k Key, full WhenFull, sync bool, c *chunk.Chunk) error {
	s.mu.Lock()
	q := s.queueOf(k)
	s.mu.Unlock()
	q.appends.Lock()
	defer q.appends.Unlock()
	warned := false
	for tries := 1; ; tries++ {
		err := s.store(q, sync, c)
		switch {
		case err == nil:
			if warned {
				s.waits(k.Adaptor, nil)
			}
			return nil
		case errors.Is(err, chunk.ErrInvalid):
			return fmt.Errorf("append to spool: %w", err)
		case full == DropOldest && (isFull(err) || tries >= diskTries):
			if isFull(err) && s.dropOldest(q) {
				continue
			}
			return s.dropRecord(q, c)
		}
		if !warned {
			warned = true
			s.waits(k.Adaptor, err)
			s.log.Warn("the agent's spool can't take more, the adaptor waits", "adaptor", k.Adaptor, "type", k.Type, "reason", err)
		}
		if err := s.waitRoom(ctx); err != nil {
			s.waits(k.Adaptor, nil)
			return err
		}
	}
}

// diskTries is how often DropOldest tries a disk that fails without being full.
const diskTries = 3

// store appends the chunk, behind a fact of what is pending; q.appends is held.
func (s *Spool) store(q *queue, sync bool, c *chunk.Chunk) error {
	st, err := s.activeStream(q)
	if err != nil {
		return err
	}
	at := st.end + q.pending.bytes
	c.Stream, c.First, c.Last = st.id, at, at+int64(len(c.Body))
	if c.Kind != chunk.Data || len(c.Body) == 0 {
		return fmt.Errorf("%w: a %v of %d bytes; only data is spooled", chunk.ErrInvalid, c.Kind, len(c.Body))
	}
	if err := c.Check(); err != nil {
		return err
	}
	q.frame = q.frame[:0]
	if q.pending.bytes > 0 {
		fact := q.pending.fact(st)
		q.frame = appendFrame(q.frame, &fact)
	}
	before := len(q.frame)
	q.frame = appendFrame(q.frame, c)
	if n := len(q.frame) - before; n > maxFrame {
		return fmt.Errorf("%w: a record of %d bytes, at most %d are allowed", chunk.ErrInvalid, n, maxFrame)
	}
	err = s.haveRoom(q, int64(len(q.frame)))
	if err == nil {
		err = s.write(q, st, sync, c)
	}
	if err != nil {
		return err
	}
	q.pending = pending{}
	if cap(q.frame) > 1<<20 {
		q.frame = nil
	}
	return nil
}

// waits notes why an adaptor waits for room; nil: it does no more.
func (s *Spool) waits(adaptor string, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if why == nil {
		delete(s.waiting, adaptor)
		return
	}
	s.waiting[adaptor] = why
}

// Waits returns why an adaptor waits until the spool takes more, "" if it does not.
func (s *Spool) Waits(adaptor string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if why := s.waiting[adaptor]; why != nil {
		return fmt.Sprintf("the agent's spool can't take more: %v", why)
	}
	return ""
}

// Full reports whether an adaptor waits as there is no room.
func (s *Spool) Full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, why := range s.waiting {
		if isFull(why) {
			return true
		}
	}
	return false
}

// activeStream returns the stream that this start appends to.
func (s *Spool) activeStream(q *queue) (*stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(q.streams); n > 0 && q.streams[n-1].active {
		return q.streams[n-1], nil
	}
	if err := disk.MkdirAll(s.cfg.Disk, q.dir, dirMode); err != nil {
		return nil, fmt.Errorf("create spool folder: %w", err)
	}
	st := &stream{id: newID(time.Now()), q: q, active: true}
	q.streams = append(q.streams, st)
	s.streams[st.id] = st
	return st, nil
}

// newID makes a stream's id: unique, and sorting by age.
func newID(now time.Time) string {
	var random [12]byte
	_, _ = rand.Read(random[:]) // never fails
	return fmt.Sprintf("%014x%s", now.UnixMicro(), hex.EncodeToString(random[:]))
}

var errFull = errors.New("full")

func isFull(err error) bool {
	return errors.Is(err, errFull) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// haveRoom reports whether n more bytes of a queue keep within all bounds.
func (s *Spool) haveRoom(q *queue, n int64) error {
	persona := q.key.Persona
	s.mu.Lock()
	used, most, usedBy := s.used, s.cfg.MaxBytes, s.usedBy[persona]
	share, shared := s.cfg.Shares[persona]
	s.mu.Unlock()
	if used+n > most {
		return fmt.Errorf("%w: %d bytes are in it, at most %d are allowed", errFull, used, most)
	}
	if shared && usedBy+n > share {
		return fmt.Errorf("%w: %d bytes of persona %q are in it, its share is %d", errFull, usedBy, persona, share)
	}
	free, total, err := s.cfg.Disk.Free(s.cfg.Dir)
	if err != nil {
		return err
	}
	if float64(free-n) < float64(total)*s.cfg.KeepFree/100 {
		return fmt.Errorf("%w: the disk has %d bytes left, %g%% of it are kept free", errFull, free, s.cfg.KeepFree)
	}
	return nil
}

// waitRoom waits until bytes were freed, or it is time to look at the disk.
func (s *Spool) waitRoom(ctx context.Context) error {
	s.mu.Lock()
	room := s.room
	s.mu.Unlock()
	t := time.NewTimer(s.cfg.Retry)
	defer t.Stop()
	select {
	case <-room:
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// write appends q.frame, which ends with c, to the stream's last segment, and
// syncs it if told so.
func (s *Spool) write(q *queue, st *stream, sync bool, c *chunk.Chunk) error {
	seg, err := s.writable(q, st, int64(len(q.frame)))
	if err != nil {
		return err
	}
	if err := writeFrame(seg, q.frame, sync); err != nil {
		// What the file holds past seg.size is not known now: no more is
		// appended, and readers stop at seg.end.
		_ = seg.file.Truncate(seg.size)
		s.mu.Lock()
		s.closeSegment(seg)
		s.mu.Unlock()
		return fmt.Errorf("write %s: %w", seg.path, err)
	}
	s.mu.Lock()
	seg.size += int64(len(q.frame))
	s.use(q, int64(len(q.frame)))
	seg.end, st.end = c.Last, c.Last
	if c.Kind == chunk.Data {
		seg.unsent++
	}
	st.host, st.source = c.Host, c.Source
	s.mu.Unlock()
	token(q.wake)
	return nil
}

func writeFrame(seg *segment, frame []byte, sync bool) error {
	if _, err := seg.file.Write(frame); err != nil || !sync {
		return err
	}
	return seg.file.Sync()
}

// settledRoll is the size from which a segment that is settled as a whole is
// not appended to any more, so that a restart has little to send again.
const settledRoll = 256 << 10

// How a small spool is divided: drop_oldest drops a segment at a time.
const (
	segmentsAtLeast = 16
	leastSegment    = 32 << 10 // bytes
)

// segmentBytes is how large a segment of a persona's gets; s.mu is held.
func (s *Spool) segmentBytes(persona string) int64 {
	most := s.cfg.MaxBytes
	if share, shared := s.cfg.Shares[persona]; shared {
		most = min(most, share)
	}
	return min(s.cfg.SegmentBytes, max(most/segmentsAtLeast, leastSegment))
}

// writable returns the segment that takes the next n bytes.
func (s *Spool) writable(q *queue, st *stream, n int64) (*segment, error) {
	if seg := s.growing(q); seg != nil && seg.unlinked() {
		if err := s.restore(q, seg); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(st.segs) > 0 {
		seg := st.segs[len(st.segs)-1]
		switch {
		case seg.file == nil:
		case seg.end != st.end, seg.size > 0 && seg.size+n > s.segmentBytes(q.key.Persona),
			seg.size > settledRoll && st.settled >= seg.end:
			s.closeSegment(seg)
			s.trim(st)
		default:
			return seg, nil
		}
	}
	path := filepath.Join(q.dir, segmentName(st.id, st.end))
	if n := len(st.segs); n > 0 && st.segs[n-1].path == path {
		// The last one took nothing: its first write failed.
		if err := s.cfg.Disk.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("remove empty segment: %w", err)
		}
		st.segs = st.segs[:n-1]
	}
	if err := disk.MkdirAll(s.cfg.Disk, q.dir, dirMode); err != nil { // it may have been removed
		return nil, fmt.Errorf("create segment: %w", err)
	}
	f, err := disk.Create(s.cfg.Disk, path, fileMode)
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	if err := s.syncDirs(q); err != nil {
		_ = f.Close()
		_ = s.cfg.Disk.Remove(path)
		return nil, fmt.Errorf("create segment: %w", err)
	}
	seg := &segment{path: path, base: st.end, end: st.end, file: f}
	st.segs = append(st.segs, seg)
	return seg, nil
}

func (s *Spool) closeSegment(seg *segment) {
	if seg.file != nil {
		_ = seg.file.Close() // all that counts is synced already
		seg.file = nil
	}
}

// syncDirs makes the names of a queue's files durable, and those of their
// folders, which a process before may have made and not synced.
func (s *Spool) syncDirs(q *queue) error {
	d := s.cfg.Disk
	return errors.Join(d.SyncDir(q.dir), d.SyncDir(filepath.Dir(q.dir)), d.SyncDir(s.cfg.Dir))
}
