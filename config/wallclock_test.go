package config_test

import (
	"testing"
	"time"

	"github.com/akupara/akupara/config"
)

// In zones whose clocks change, what has an hour is due once each day, and what
// has none once each hour that passes.
func TestSchedulesOfZonesWhoseClocksChange(t *testing.T) {
	for spec, want := range map[string]int{
		"CRON_TZ=Africa/Cairo 0 0 * * *":         365, // clocks skip midnight
		"CRON_TZ=America/Santiago 15 0 * * *":    365,
		"CRON_TZ=America/New_York 30 2 * * *":    365, // clocks skip it
		"CRON_TZ=America/New_York 30 1 * * *":    365, // it comes twice
		"CRON_TZ=Australia/Lord_Howe 15 2 * * *": 365, // by half an hour
		"CRON_TZ=Europe/Berlin 30 1,2,3 * * *":   3 * 365,
		"CRON_TZ=America/New_York 0 * * * *":     24 * 365,
		"CRON_TZ=Europe/Berlin @daily":           365,
		"0 3 * * *":                              365,
	} {
		s, err := config.NewSchedule(spec)
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		from := time.Date(2026, 1, 1, 12, 0, 30, 0, time.UTC)
		n := 0
		for at := s.Next(from); at.Before(from.AddDate(1, 0, 0)); at = s.Next(at) {
			n++
		}
		if n != want {
			t.Errorf("%s: due %d times within a year, want %d", spec, n, want)
		}
	}
	s, err := config.NewSchedule("CRON_TZ=Africa/Cairo 30 0 * * *")
	if err != nil {
		t.Fatal(err)
	}
	jump := time.Date(2026, 4, 23, 22, 0, 0, 0, time.UTC)
	if at := s.Next(jump.Add(-time.Hour)); !at.Equal(jump) {
		t.Errorf("what clocks skip is due at %v, want %v", at, jump)
	}
}
