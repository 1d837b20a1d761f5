package config

import (
	"time"

	"github.com/robfig/cron/v3"
)

// wallClock is a schedule of given hours in a zone whose clocks may change: what
// is due while they skip an hour is due at once after it, and what is due in an
// hour that comes twice is due the first time, as cron(8) has it.
type wallClock struct {
	spec cron.SpecSchedule // in UTC: it sees the zone's clock
	zone *time.Location
}

// inZone returns the schedule as a clock on the wall tells it, where that makes a
// difference: what is due in every hour follows the hours that really pass.
func inZone(s cron.Schedule) cron.Schedule {
	spec, ok := s.(*cron.SpecSchedule)
	if !ok || spec.Location == time.UTC || spec.Hour&allHours == allHours {
		return s
	}
	w := wallClock{*spec, spec.Location}
	w.spec.Location = time.UTC
	return w
}

const allHours = 1<<24 - 1

// Next implements cron.Schedule.
func (w wallClock) Next(t time.Time) time.Time {
	local := t.In(w.zone)
	clock := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), local.Nanosecond(), time.UTC)
	for {
		if clock = w.spec.Next(clock); clock.IsZero() {
			return clock
		}
		if at := w.instant(clock); at.After(t) {
			return at.In(t.Location())
		}
	}
}

// instant returns when the zone's clocks show what clock does for the first time,
// or, where they skip it, when they have done so.
func (w wallClock) instant(clock time.Time) time.Time {
	const day = 24 * time.Hour // no zone is further from UTC, or changes twice so fast
	var first time.Time
	for _, near := range [...]time.Time{clock.Add(-2 * day), clock.Add(2 * day)} {
		_, offset := near.In(w.zone).Zone()
		at := clock.Add(-time.Duration(offset) * time.Second).In(w.zone)
		shows := at.Year() == clock.Year() && at.YearDay() == clock.YearDay() &&
			at.Hour() == clock.Hour() && at.Minute() == clock.Minute() && at.Second() == clock.Second()
		if shows && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if first.IsZero() {
		_, offset := clock.Add(-2 * day).In(w.zone).Zone()
		first, _ = clock.Add(-time.Duration(offset) * time.Second).In(w.zone).ZoneBounds()
	}
	return first
}
