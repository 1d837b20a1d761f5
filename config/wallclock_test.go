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

// Each day of a zone has a daily schedule's time once, whatever clocks do on it.
func TestDailySchedulesAreDueOnceOnEachDayOfTheirZone(t *testing.T) {
	from := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, zone := range []string{
		"Africa/Cairo", "America/Asuncion", "America/Havana", "America/Santiago", "Asia/Beirut", "Atlantic/Azores", // at midnight
		"America/Scoresbysund", "America/St_Johns", "Pacific/Chatham",
		"Africa/Casablanca", "Antarctica/Troll", "Australia/Lord_Howe", // not by an hour, or back for a month
		"America/New_York", "Europe/Berlin", "Asia/Kolkata",
	} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, clock := range []string{"0 0", "1 0", "30 0", "59 0", "0 1", "15 1", "45 1", "0 2", "15 2", "30 2", "45 2", "0 3", "59 23"} {
			spec := "CRON_TZ=" + zone + " " + clock + " * * *"
			s, err := config.NewSchedule(spec)
			if err != nil {
				t.Fatal(err)
			}
			day := s.Next(from).In(loc)
			for at, n := s.Next(s.Next(from)), 0; n < 3*365; at, n = s.Next(at), n+1 {
				got := at.In(loc)
				if change, _ := got.ZoneBounds(); change.Equal(at) && got.Hour() == 0 && clock == "59 23" {
					got = got.Add(-time.Nanosecond).In(loc) // clocks skipped the day's last hour
				}
				next := time.Date(day.Year(), day.Month(), day.Day()+1, 12, 0, 0, 0, loc)
				if got.YearDay() != next.YearDay() || got.Year() != next.Year() {
					t.Fatalf("%s: due at %v after %v", spec, at.In(loc), day)
				}
				day = got
			}
		}
	}
}

func TestSundayIsTheLastDayOfTheWeekToo(t *testing.T) {
	monday := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	for field, want := range map[string]string{
		"7": "0000001", "0": "0000001", "sun": "0000001", "5-7": "0000111", "FRI-SUN": "0000111", "1-7": "1111111", "mon-sun": "1111111",
		"0-7": "1111111", "1,7": "1000001", "3-7/2": "0010101", "7-7": "0000001", "1-5": "1111100", "*/2": "0101011",
	} {
		s, err := config.NewSchedule("0 12 * * " + field)
		if err != nil {
			t.Errorf("%s: %v", field, err)
			continue
		}
		got := []byte("0000000")
		for at := s.Next(monday); at.Before(monday.AddDate(0, 0, 7)); at = s.Next(at) {
			got[(int(at.Weekday())+6)%7] = '1'
		}
		if string(got) != want {
			t.Errorf("%s: due on %s, want %s (Monday first)", field, got, want)
		}
	}
}

func TestSchedulesAreRefusedWithTheField(t *testing.T) {
	for spec, want := range map[string]string{
		"0 0 * *":                     "it has 4 fields, want 5: minute, hour, day of the month, month, day of the week",
		"0 24 * * *":                  `the hour "24": end of range (24) above maximum (23): 24`,
		"0 0 * * 8":                   `the day of the week "8": end of range (8) above maximum (6): 8`,
		"0 0 * * 7-1":                 `the day of the week "7-1": beginning of range (7) beyond end of range (1): 7-1`,
		"CRON_TZ=Mars/Base 0 0 * * *": `the time zone "Mars/Base" is not known; want an IANA name such as Europe/Berlin`,
		"CRON_TZ=UTC":                 "nothing follows CRON_TZ=UTC",
		"@every 1x":                   `@every takes a duration, such as 200ms, 60s, 1h30m or 7d: unknown unit "x" in duration "1x"`,
		"@every 1500ms":               "@every takes whole seconds, at least 1s",
		"0 0 30 2 *":                  "it is never due",
	} {
		if _, err := config.NewSchedule(spec); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", spec, err, want)
		}
	}
	for spec, want := range map[string]time.Duration{"@every 1d": 24 * time.Hour, "@every 2w": 14 * 24 * time.Hour, "@every 1h30m": 90 * time.Minute} {
		s, err := config.NewSchedule(spec)
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		if got := s.Next(at).Sub(at); got != want {
			t.Errorf("%s: due after %v, want %v", spec, got, want)
		}
	}
}
