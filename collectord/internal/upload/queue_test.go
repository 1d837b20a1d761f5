package upload

import (
	"fmt"
	"testing"
	"time"

	"github.com/akupara/akupara/collectord/internal/spool"
	"github.com/akupara/akupara/store"
)

func segment(dataType string, n uint64) *spool.Sealed {
	return &spool.Sealed{Name: spool.Name{Type: dataType, ID: store.NewSegment(time.Unix(0, 0), "c.1", n)}}
}

func TestTypesTakeTurns(t *testing.T) {
	q := newQueue(4)
	for i := range 3 {
		q.add(segment("busy", uint64(i)))
	}
	q.add(segment("quiet", 0))
	now := time.Unix(100, 0)
	var order []string
	for range 4 {
		seg, _ := q.pick(now)
		order = append(order, seg.Type)
		q.done(seg, false, now)
	}
	if order[0] != "quiet" && order[1] != "quiet" {
		t.Errorf("picked %v, want the quiet type among the first two", order)
	}
}

func TestTypeWhoseUploadsHangLeavesAWorker(t *testing.T) {
	q := newQueue(3)
	for i := range 10 {
		q.add(segment("hangs", uint64(i)))
	}
	now := time.Unix(100, 0)
	running := 0
	for seg, _ := q.pick(now); seg != nil; seg, _ = q.pick(now) {
		running++
	}
	if running != 2 {
		t.Errorf("%d uploads of one type run, want 2 of 3 workers", running)
	}
	q.add(segment("other", 0))
	if seg, _ := q.pick(now); seg == nil || seg.Type != "other" {
		t.Errorf("picked %v, want the other type", seg)
	}
}

func TestFailedTypeWaitsAtMostTenSecondsAndOthersDoNot(t *testing.T) {
	q := newQueue(4)
	now := time.Unix(100, 0)
	q.add(segment("bad", 0))
	for try := range 20 {
		seg, _ := q.pick(now)
		if seg == nil {
			t.Fatalf("try %d: nothing is due", try)
		}
		q.done(seg, true, now)
		q.add(segment("good", uint64(try)))
		if seg, _ := q.pick(now); seg == nil || seg.Type != "good" {
			t.Fatalf("try %d: a type that does not fail waits", try)
		} else {
			q.done(seg, false, now)
		}
		_, wait := q.pick(now)
		if wait <= 0 || wait > 10*time.Second {
			t.Fatalf("try %d: the next is due in %v, want at most 10 s", try, wait)
		}
		now = now.Add(wait)
	}
	if q.len() != 1 {
		t.Errorf("%d segments wait, want the one that fails", q.len())
	}
}

func TestFailedSegmentDoesNotBlockItsType(t *testing.T) {
	q := newQueue(4)
	now := time.Unix(100, 0)
	q.add(segment("app", 0))
	q.add(segment("app", 1))
	first, _ := q.pick(now)
	q.done(first, true, now)
	second, _ := q.pick(now.Add(10 * time.Second))
	if second == nil || second == first {
		t.Errorf("picked %v after %v failed, want the other", second, first)
	}
}

func TestOnlyFilesOfEarlierStartsOfThisCollectorAreSwept(t *testing.T) {
	u := New(Options{Collector: "c0000000000aa", Instance: "c0000000000aa.7"})
	for name, want := range map[string]bool{
		"_20260101T000000.000000Z-c0000000000aa.6-000001.avro.c0000000000aa.6.1.tmp":   true,
		"_20260101T000000.000000Z-c0000000000bb.6-000001.avro.c0000000000aa.6.1.tmp":   true,  // of a spool taken over
		"_20260101T000000.000000Z-c0000000000aa.7-000001.avro.c0000000000aa.7.1.tmp":   false, // being written
		"_20260101T000000.000000Z-c0000000000aa.6-000001.avro.c0000000000bb.6.1.tmp":   false, // another's
		"20260101T000000.000000Z-c0000000000aa.6-000001.avro":                          false,
		"_20260101T000000.000000Z-c0000000000aa.6-000001.avro.c0000000000aa.66.1.tmpx": false,
	} {
		if got := u.left(fmt.Sprint("raw/app/2026-01-01/", name)); got != want {
			t.Errorf("%s: swept %v, want %v", name, got, want)
		}
	}
}
