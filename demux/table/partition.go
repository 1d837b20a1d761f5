package table

import (
	"fmt"
	"path"
	"strings"
	"time"

	iceberg "github.com/apache/iceberg-go"
	ice "github.com/apache/iceberg-go/table"

	"github.com/akupara/akupara/demux/schema"
)

// Partition is the hour or the day of ts, in UTC, that all rows of a data file
// are of. Runs write hours; days are what old hours are compacted into.
type Partition struct {
	Day bool // a day; else an hour
	N   int  // days or hours since 1970
}

// HourPartition returns the hour of a ts in microseconds.
func HourPartition(ts int64) Partition { return Partition{N: HourOf(ts)} }

// DayPartition returns the day of a ts in microseconds.
func DayPartition(ts int64) Partition { return Partition{Day: true, N: floorDiv(ts, microsPerDay)} }

// HourOf returns the whole hours since 1970 of a ts in microseconds.
func HourOf(ts int64) int { return floorDiv(ts, microsPerHour) }

const (
	microsPerHour = int64(time.Hour / time.Microsecond)
	microsPerDay  = 24 * microsPerHour
)

func floorDiv(a, b int64) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return int(q)
}

// Start returns when the partition begins.
func (p Partition) Start() time.Time { return time.UnixMicro(int64(p.N) * p.micros()).UTC() }

// End returns when the partition ends; it does not belong to it.
func (p Partition) End() time.Time { return time.UnixMicro(int64(p.N+1) * p.micros()).UTC() }

func (p Partition) micros() int64 {
	if p.Day {
		return microsPerDay
	}
	return microsPerHour
}

// Holds reports whether a ts in microseconds is of the partition.
func (p Partition) Holds(ts int64) bool { return floorDiv(ts, p.micros()) == p.N }

// String is the name of the partition's folder, such as "ts_hour=2026-03-01-10".
func (p Partition) String() string {
	if p.Day {
		return schema.DayPartition + "=" + p.Start().Format("2006-01-02")
	}
	return schema.HourPartition + "=" + p.Start().Format("2006-01-02-15")
}

// folderPartition is the reverse of String.
func folderPartition(name string) (Partition, bool) {
	for _, kind := range []struct {
		field, layout string
		of            func(int64) Partition
	}{
		{schema.HourPartition, "2006-01-02-15", HourPartition},
		{schema.DayPartition, "2006-01-02", DayPartition},
	} {
		value, ok := strings.CutPrefix(name, kind.field+"=")
		at, err := time.Parse(kind.layout, value)
		if ok && err == nil {
			return kind.of(at.UnixMicro()), true
		}
	}
	return Partition{}, false
}

// DataPath is where a run writes its n-th data file. The run's id must be used
// by one attempt only, or name must tell attempts apart: files are never
// written twice.
func DataPath(dataType string, p Partition, run string, n int) string {
	return path.Join(dir(dataType), "data", p.String(), fmt.Sprintf("%s-%05d.parquet", run, n))
}

const (
	hourField = 1000 // partition field ids start here (Iceberg table spec, "Partitioning")
	dayField  = 1001
)

// specs are the partition specs of a table: hours are in the default one, and
// days in one of their own, from when the first file of a day is added.
type specs struct {
	hour iceberg.PartitionSpec
	day  *iceberg.PartitionSpec // nil: there is none yet
}

func specsOf(meta ice.Metadata) specs {
	out := specs{hour: meta.PartitionSpec()}
	for _, s := range meta.PartitionSpecs() {
		if isDay(s) {
			out.day = &s
		}
	}
	return out
}

// of returns the spec of a partition's files.
func (s specs) of(p Partition) (iceberg.PartitionSpec, error) {
	switch {
	case !p.Day:
		return s.hour, nil
	case s.day != nil:
		return *s.day, nil
	}
	return s.hour, fmt.Errorf("there is no partition spec of days")
}

// ids returns the ids of the specs.
func (s specs) ids() []int32 {
	out := []int32{int32(s.hour.ID())}
	if s.day != nil {
		out = append(out, int32(s.day.ID()))
	}
	return out
}

// byID returns the spec of a manifest.
func (s specs) byID(id int32) (iceberg.PartitionSpec, bool) {
	if s.day != nil && s.day.ID() == int(id) {
		return *s.day, true
	}
	return s.hour, s.hour.ID() == int(id)
}

func isDay(s iceberg.PartitionSpec) bool {
	if s.NumFields() != 1 {
		return false
	}
	_, ok := s.Field(0).Transform.(iceberg.DayTransform)
	return ok
}

// newDaySpec returns a spec of days for a table with these columns.
func newDaySpec(cols []schema.Column) (iceberg.PartitionSpec, error) {
	ts := schema.Find(cols, schema.TS)
	if ts < 0 {
		return iceberg.PartitionSpec{}, fmt.Errorf("there is no column %s", schema.TS)
	}
	// Older versions let a record's key have the name.
	name := schema.DayPartition
	for schema.Find(cols, name) >= 0 {
		name += "_"
	}
	return iceberg.NewPartitionSpec(iceberg.PartitionField{
		SourceIDs: []int{cols[ts].ID}, FieldID: dayField, Name: name, Transform: iceberg.DayTransform{},
	}), nil
}

// value is what Iceberg has for the partition, by the id of its spec's field.
func (p Partition) value(spec iceberg.PartitionSpec) map[int]any {
	if p.Day {
		return map[int]any{spec.Field(0).FieldID: iceberg.Date(p.N)}
	}
	return map[int]any{spec.Field(0).FieldID: int32(p.N)}
}

// partitionOf is the reverse of value.
func partitionOf(spec iceberg.PartitionSpec, values map[int]any) (Partition, bool) {
	if spec.NumFields() != 1 {
		return Partition{}, false
	}
	p := Partition{Day: isDay(spec)}
	switch v := values[spec.Field(0).FieldID].(type) {
	case int32:
		p.N = int(v)
	case iceberg.Date:
		p.N = int(v)
	default:
		return Partition{}, false
	}
	return p, true
}
