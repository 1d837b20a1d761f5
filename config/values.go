package config

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Value is a value with its place, for problems that are found only later:
// an unknown kind, a name used twice. Pos is zero where it was not given.
type Value[T any] struct {
	V   T
	Pos Pos
}

// Given reports whether the value stands in the config, or is a default.
func (v Value[T]) Given() bool { return v.Pos.Line > 0 }

// Problemf makes a problem at the value.
func (v Value[T]) Problemf(format string, args ...any) Problem {
	return v.Pos.Problemf(format, args...)
}

func (v *Value[T]) place(p Pos) reflect.Value {
	v.Pos = p
	return reflect.ValueOf(&v.V).Elem()
}

// Duration is a time.Duration that is written in Go's syntax, and may start
// with weeks and days: 200ms, 60s, 1h30m, 7d, 1d12h, 2w. It is never negative.
type Duration time.Duration

// Std is the duration as Go's own type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

func (d Duration) String() string { return time.Duration(d).String() }

// Want implements Wanter.
func (Duration) Want() string { return "a duration, such as 200ms, 60s, 1h30m or 7d" }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if _, err := strconv.ParseFloat(s, 64); err == nil && s != "0" {
		return fmt.Errorf("the unit is missing")
	}
	var days time.Duration
	for _, u := range []struct {
		mark, name string
		long       time.Duration
	}{{"w", "weeks", 7 * 24 * time.Hour}, {"d", "days", 24 * time.Hour}} {
		head, rest, ok := strings.Cut(s, u.mark)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(head, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is no number of %s from 0 to 65535", head, u.name)
		}
		if time.Duration(n) > (math.MaxInt64-days)/u.long {
			return fmt.Errorf("it is too long")
		}
		days, s = days+time.Duration(n)*u.long, rest
		if s == "" {
			s = "0"
		}
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "time: "))
	}
	if v < 0 {
		return fmt.Errorf("it is negative")
	}
	if v > math.MaxInt64-days {
		return fmt.Errorf("it is too long")
	}
	*d = Duration(days + v)
	return nil
}

// Size is a number of bytes: 64KiB, 128MiB, 10GB, or a plain number.
type Size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

// String writes the size with the largest unit that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if u.bytes > 1 && s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Want implements Wanter.
func (Size) Want() string { return "a size, such as 64KiB, 128MiB, 10GB or a plain number of bytes" }

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	num, unit := strings.TrimSpace(string(text)), int64(1)
	for _, u := range sizeUnits {
		if head, ok := strings.CutSuffix(num, u.name); ok {
			num, unit = strings.TrimSpace(head), u.bytes
			break
		}
	}
	if n, err := strconv.ParseInt(num, 10, 64); err == nil && n >= 0 {
		if n > math.MaxInt64/unit {
			return fmt.Errorf("it is too large")
		}
		*s = Size(n * unit)
		return nil
	}
	f, err := strconv.ParseFloat(num, 64)
	if err != nil || !(f >= 0) || strings.ContainsAny(num, "xXpPeE_iInN") {
		return fmt.Errorf("%q is no number of bytes; units are B, KB, MB, GB, TB, KiB, MiB, GiB, TiB", num)
	}
	if f *= float64(unit); f >= math.MaxInt64 {
		return fmt.Errorf("it is too large")
	}
	*s = Size(f)
	return nil
}

// Percent is a share of a whole, from 0 to 100: 5% or 2.5%.
type Percent float64

func (p Percent) String() string { return strconv.FormatFloat(float64(p), 'g', -1, 64) + "%" }

// Of is the share of n.
func (p Percent) Of(n int64) int64 { return int64(float64(n) * float64(p) / 100) }

// Want implements Wanter.
func (Percent) Want() string { return "a percentage from 0% to 100%" }

// MarshalText implements encoding.TextMarshaler.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Percent) UnmarshalText(text []byte) error {
	num := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(string(text)), "%"))
	f, err := strconv.ParseFloat(num, 64)
	if err != nil {
		return fmt.Errorf("%q is no number", num)
	}
	if !(f >= 0 && f <= 100) {
		return fmt.Errorf("it is out of range")
	}
	*p = Percent(f)
	return nil
}
