package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule is when something is due: five cron fields, or a descriptor such
// as "@every 1m" or "@hourly", in UTC unless it starts with CRON_TZ=ZONE.
type Schedule struct {
	cron.Schedule
	text string
}

// NewSchedule parses a schedule.
func NewSchedule(text string) (Schedule, error) {
	var s Schedule
	err := s.UnmarshalText([]byte(text))
	return s, err
}

func (s Schedule) String() string { return s.text }

// Want implements Wanter.
func (Schedule) Want() string { return `a schedule, such as "@every 1m", "@hourly" or "*/5 * * * *"` }

// MarshalText implements encoding.TextMarshaler.
func (s Schedule) MarshalText() ([]byte, error) { return []byte(s.text), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Schedule) UnmarshalText(text []byte) error {
	spec := strings.TrimSpace(string(text))
	if len(spec) > 200 {
		return fmt.Errorf("it has %d bytes; at most 200 are allowed", len(spec))
	}
	zone := "UTC"
	if strings.HasPrefix(spec, "TZ=") || strings.HasPrefix(spec, "CRON_TZ=") {
		head, rest, _ := strings.Cut(spec, " ")
		if spec = strings.TrimSpace(rest); spec == "" {
			return fmt.Errorf("nothing follows %s", head)
		}
		_, zone, _ = strings.Cut(head, "=")
	}
	// The cron library panics at some zones.
	if _, err := time.LoadLocation(zone); err != nil || zone == "" {
		return fmt.Errorf("the time zone %q is not known; want an IANA name such as Europe/Berlin", zone)
	}
	parsed, err := parseCron(spec, zone)
	if err != nil {
		return err
	}
	if parsed.Next(time.Now()).IsZero() {
		return fmt.Errorf("it is never due")
	}
	s.Schedule, s.text = inZone(parsed), string(text)
	return nil
}

func parseCron(spec, zone string) (cron.Schedule, error) {
	if every, ok := strings.CutPrefix(spec, "@every "); ok {
		return parseEvery(every)
	}
	if !strings.HasPrefix(spec, "@") {
		fields := strings.Fields(spec)
		if err := checkFields(fields); err != nil {
			return nil, err
		}
		fields[4] = sundays(fields[4])
		spec = strings.Join(fields, " ")
	}
	s, err := cron.ParseStandard("CRON_TZ=" + zone + " " + spec)
	if err != nil {
		return nil, fmt.Errorf("%w; known are five fields, @every and a duration, @hourly, @daily, @weekly, @monthly, @yearly", err)
	}
	return s, nil
}

func parseEvery(every string) (cron.Schedule, error) {
	var d Duration
	if err := d.UnmarshalText([]byte(strings.TrimSpace(every))); err != nil {
		return nil, fmt.Errorf("@every takes %s: %w", d.Want(), err)
	}
	if d.Std() < time.Second || d.Std()%time.Second != 0 {
		return nil, fmt.Errorf("@every takes whole seconds, at least 1s")
	}
	return cron.Every(d.Std()), nil
}

// checkFields names the field that is wrong, which the cron library does not.
func checkFields(fields []string) error {
	names := []string{"minute", "hour", "day of the month", "month", "day of the week"}
	if len(fields) != len(names) {
		return fmt.Errorf("it has %d fields, want 5: %s", len(fields), strings.Join(names, ", "))
	}
	for i, name := range names {
		one := []string{"*", "*", "*", "*", "*"}
		if one[i] = fields[i]; i == 4 {
			one[i] = sundays(fields[i])
		}
		if _, err := cron.ParseStandard(strings.Join(one, " ")); err != nil {
			return fmt.Errorf("the %s %q: %w", name, fields[i], err)
		}
	}
	return nil
}

// sundays writes a field of weekdays with 0 for what names Sunday as the last day
// of the week: 7 alone, or where a range ends. What it does not understand it
// leaves to the parser, which refuses it.
func sundays(field string) string {
	list := strings.Split(field, ",")
	for i, expr := range list {
		days, step, stepped := strings.Cut(expr, "/")
		from, to, isRange := strings.Cut(days, "-")
		switch {
		case from == "7" && !isRange:
			list[i] = "0"
			continue
		case !isRange || to != "7" && !strings.EqualFold(to, "sun"):
			continue
		}
		n := 1
		if stepped {
			var err error
			if n, err = strconv.Atoi(step); err != nil || n < 1 {
				continue
			}
		}
		first := slices.Index([]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}, strings.ToLower(from))
		if first < 0 {
			var err error
			if first, err = strconv.Atoi(from); err != nil || first < 0 || first > 7 {
				continue
			}
		}
		if to != "7" && first == 0 {
			continue // SUN-SUN
		}
		var out []string
		for day := first; day <= 7; day += n {
			out = append(out, strconv.Itoa(day%7))
		}
		list[i] = strings.Join(out, ",")
	}
	return strings.Join(list, ",")
}
