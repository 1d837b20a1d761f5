package store

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSegmentIDsSortByAgeAndGiveTheirTime(t *testing.T) {
	start := time.Date(2026, 11, 22, 21, 59, 59, 123456000, time.FixedZone("", 3600))
	var ids []Segment
	for i := range 5 {
		ids = append(ids, NewSegment(start.Add(time.Duration(i)*7*time.Hour), "collector-1", uint64(i)))
	}
	if !slices.IsSorted(ids) {
		t.Errorf("%q are not sorted", ids)
	}
	for i, id := range ids {
		if err := id.Check(); err != nil {
			t.Error(err)
		}
		if got, err := id.Opened(); err != nil || !got.Equal(start.Add(time.Duration(i)*7*time.Hour)) {
			t.Errorf("%s was opened %v, %v", id, got, err)
		}
	}
	if got, want := SinkPath(Raw, "syslog", ids[0]), "raw/syslog/2026-11-22/20261122T205959.123456Z-collector-1-000000.avro"; got != want {
		t.Errorf("path %s, want %s", got, want)
	}
}

func TestARegroupedFilesNameSaysWhatItMayHold(t *testing.T) {
	first := time.Date(2026, 11, 22, 1, 2, 3, 4000, time.UTC)
	last := first.Add(time.Hour)
	id := NewRegrouped(first, last, "1f3a")
	if err := id.Check(); err != nil || !id.Regrouped() {
		t.Errorf("%s: regrouped %v, %v", id, id.Regrouped(), err)
	}
	if at, err := id.Opened(); err != nil || !at.Equal(first) {
		t.Errorf("%s was opened %v, %v: it goes to another day", id, at, err)
	}
	for at, want := range map[time.Time]bool{
		first: true, last: true, first.Add(-time.Microsecond): false, last.Add(time.Microsecond): false,
	} {
		plain := NewSegment(at, "c", 1)
		if plain.Regrouped() || id.MayHold(plain) != want {
			t.Errorf("%s may hold %s: %v, want %v", id, plain, id.MayHold(plain), want)
		}
	}
	for _, s := range []Segment{"", "x-regrouped-1", "20261122T010203.000004Z-regrouped-1", "a-b-regrouped-1"} {
		if s.Regrouped() || s.MayHold(id) {
			t.Errorf("%q was taken for a regrouped file's", s)
		}
	}
}

func TestForeignSegmentIDsAreRefused(t *testing.T) {
	good := string(NewSegment(time.Now(), "c", 1))
	for _, s := range []string{"", "x", "2026", good + "/../x", good + " ", good + "\n", strings.Repeat(good, 10), "-" + good} {
		if err := Segment(s).Check(); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}

func TestNobodyTakesATemporaryFileForASink(t *testing.T) {
	id := NewSegment(time.Now(), "c", 1)
	final := SinkPath(Raw, "syslog", id)
	tmp := Temp(final, "2")
	if IsSink(tmp) || strings.HasSuffix(tmp, SinkExt) || !strings.HasPrefix(tmp[strings.LastIndex(tmp, "/")+1:], "_") {
		t.Errorf("%s looks like a sink file", tmp)
	}
	if !IsSink(final) || SegmentOf(final) != id {
		t.Errorf("%s: IsSink %v, segment %s; want true, %s", final, IsSink(final), SegmentOf(final), id)
	}
	for _, p := range []string{tmp, final} {
		if c, err := CleanTarget(p); err != nil || c != p {
			t.Errorf("CleanTarget(%s) = %s, %v", p, c, err)
		}
	}
}
