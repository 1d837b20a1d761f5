package store

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"
)

// The top of a store. Outside readers rely on these names.
const (
	Raw        = "raw"        // sink files that a table may not hold yet: raw/TYPE/DATE/SEGMENT.avro
	Archive    = "archive"    // sink files that the tables hold: archive/TYPE/DATE/SEGMENT.avro, those of old days regrouped
	Tables     = "tables"     // Iceberg tables: tables/TYPE/{metadata,data}
	Quarantine = "quarantine" // what could not be read, kept for people
)

// SinkExt ends the name of every published sink file, and of nothing else.
const SinkExt = ".avro"

// Segment is the id of a spool segment, and thereby of its sink file. It
// starts with the UTC time it was opened, so that ids sort by age.
type Segment string

const segmentTime = "20060102T150405.000000Z"

var segmentRE = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// NewSegment makes the id of the n-th segment that a collector opens.
// collector must be unique among collectors and stay with its spool.
func NewSegment(opened time.Time, collector string, n uint64) Segment {
	return Segment(fmt.Sprintf("%s-%s-%06d", opened.UTC().Format(segmentTime), collector, n))
}

// regrouped ends, with what makes it unique, the id of a regrouped file.
const regrouped = "-regrouped-"

// NewRegrouped makes the id of a file that takes the place of others of one day. They
// were opened from first to last; unique has never been used before.
func NewRegrouped(first, last time.Time, unique string) Segment {
	return Segment(first.UTC().Format(segmentTime) + "-" + last.UTC().Format(segmentTime) + regrouped + unique)
}

// Regrouped reports whether s is the id of a regrouped file.
func (s Segment) Regrouped() bool {
	_, _, ok := s.span()
	return ok
}

// MayHold reports whether the regrouped file s can hold a segment, by its time.
func (s Segment) MayHold(other Segment) bool {
	first, last, ok := s.span()
	at, err := other.Opened()
	return ok && err == nil && !at.Before(first) && !at.After(last)
}

func (s Segment) span() (first, last time.Time, ok bool) {
	times, _, ok := strings.Cut(string(s), regrouped)
	from, to, two := strings.Cut(times, "-")
	if !ok || !two {
		return first, last, false
	}
	first, err := time.Parse(segmentTime, from)
	if err == nil {
		last, err = time.Parse(segmentTime, to)
	}
	return first, last, err == nil
}

// Span is when the first and the last of a regrouped file's segments were opened; of
// another segment both are when it was.
func (s Segment) Span() (first, last time.Time, err error) {
	if first, last, ok := s.span(); ok {
		return first, last, nil
	}
	first, err = s.Opened()
	return first, first, err
}

// Opened is when the segment was opened.
func (s Segment) Opened() (time.Time, error) {
	stamp, _, _ := strings.Cut(string(s), "-")
	t, err := time.Parse(segmentTime, stamp)
	if err != nil {
		return time.Time{}, fmt.Errorf("segment id %q does not start with a time like %s", s, segmentTime)
	}
	return t, nil
}

// Check reports whether s is a well-formed id: what comes from outside must pass
// it before it becomes part of a path.
func (s Segment) Check() error {
	if _, err := s.Opened(); err != nil {
		return err
	}
	if len(s) > 200 || !segmentRE.MatchString(string(s)) {
		return fmt.Errorf("segment id %q: at most 200 letters, digits, '-', '_' and '.' are allowed", s)
	}
	return nil
}

// SinkPath is the final name of the segment's sink file under area, which is
// Raw, Archive or Quarantine. It follows from the id alone, so that recovery
// finds what was published before.
func SinkPath(area, dataType string, s Segment) string {
	day := "unknown"
	if t, err := s.Opened(); err == nil {
		day = t.Format("2006-01-02")
	}
	return path.Join(area, dataType, day, string(s)+SinkExt)
}

// Temp is where an attempt writes the file that becomes p when it is renamed;
// see Publish. Readers take no file that starts with '_' for data, and this
// one does not end like a sink file either.
func Temp(p, attempt string) string {
	dir, name := path.Split(p)
	return path.Join(dir, "_"+name+"."+attempt+".tmp")
}

// NewID returns a random name of 12 hex digits, such as an attempt's of Temp.
func NewID() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// IsSink reports whether a path under raw/ or archive/ is a published sink file.
func IsSink(p string) bool {
	return path.Ext(p) == SinkExt && !strings.HasPrefix(path.Base(p), "_")
}

// SegmentOf returns the segment id of a sink file's path.
func SegmentOf(p string) Segment { return Segment(strings.TrimSuffix(path.Base(p), SinkExt)) }
