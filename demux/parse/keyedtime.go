package parse

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
)

// Places of keys among the usual ones.
const chosenSlot = 0

var timeSlot = slices.IndexFunc(usual[:], func(u struct {
	key  string
	role role
}) bool {
	return u.key == "time"
})

// halves are the keys of a day and of its time of day, as CSV files and firewalls have
// them: together they are the time.
var halves = [...][2]string{
	{"date", "time"}, {"Date", "Time"}, {"DATE", "TIME"}, {"day", "time"}, {"log_date", "log_time"}, {"LogDate", "LogTime"},
	{"event_date", "event_time"}, {"EventDate", "EventTime"}, {"start_date", "start_time"},
}

// zones are keys of the zone that belongs to such a time.
var zoneKeys = [...]string{"tz", "timezone", "time_zone", "zone", "utc_offset"}

// timeKeyed is a format whose records have their time under a key that a config may
// name.
type timeKeyed interface {
	// timeKeys gives the key, dots between those of nested objects, or those of the
	// date and of the time of day. It is called once, before the first chunk.
	timeKeys(keys []string)
}

// timeKeys implements timeKeyed.
func (k *keyed) timeKeys(keys []string) {
	k.chosen = keys
	if len(keys) == 1 {
		k.choose(keys[0], chosenSlot)
		return
	}
	k.choose(keys[0], uint8(len(usual)))
	k.choose(keys[1], uint8(len(usual)+1))
}

// choose gives a key a place, also where it is known already.
func (k *keyed) choose(key string, slot uint8) {
	k.slots[key] = slot
	var walk func(n *node)
	walk = func(n *node) {
		if n.name == key && n != k.root {
			n.slot = slot
		}
		for _, kid := range n.kids {
			walk(kid)
		}
	}
	walk(k.root)
}

// join gives the row the time of which the record has the day and the time of day
// apart, and reports whether there is one. usualTime is the field under the key time.
func (k *keyed) join(r *reader, usualTime **field) bool {
	clock := *usualTime
	if clock == nil || !clockAlone(clock.val) {
		i := slices.IndexFunc(k.others, func(d *field) bool { return clockAlone(d.val) })
		if i < 0 {
			return false
		}
		clock = k.others[i]
	}
	date := k.dateOf(clock)
	if date == nil {
		return false
	}
	if len(k.times) == 0 {
		k.text = k.zoned(isoClock(append(isoDay(k.text[:0], date.val), ' '), clock.val))
	} else {
		k.text = append(append(append(k.text[:0], date.val...), ' '), clock.val...)
	}
	t := k.whole(k.text, &r.zone)
	if !r.believes(t) || r.frame.OK {
		k.apart = field{node: clock.node, val: k.text}
		k.failed = &k.apart
		return false
	}
	r.b.SetTS(t.Micros)
	if clock == *usualTime {
		*usualTime = nil
	}
	k.others = slices.DeleteFunc(k.others, func(d *field) bool { return d == clock || d == date })
	return true
}

// dateOf returns the day that belongs to a time of day; nil if there is none.
func (k *keyed) dateOf(clock *field) *field {
	for _, d := range k.others {
		if int(clock.node.slot) == len(usual)+1 && int(d.node.slot) == len(usual) {
			return d // as the config has them
		}
		for _, h := range halves {
			if d.node.key == h[0] && clock.node.key == h[1] && d.node.parent == clock.node.parent {
				return d
			}
		}
	}
	return nil
}

// clockAlone reports whether v is a time of day without a day.
func clockAlone(v []byte) bool {
	i := bytes.IndexByte(v[:min(len(v), 3)], ':')
	return i > 0 && len(v) <= 24 && words.IsNumber(v[:i]) && !bytes.ContainsAny(v, "/-T")
}

// isoDay appends a day as ISO has it, where it is 20261130, 30.11.2026 or 2026/11/30, and
// else as it is: what may be the month and what the day is not guessed.
func isoDay(dst, v []byte) []byte {
	switch {
	case len(v) == 8 && words.IsNumber(v):
		return append(append(append(append(append(dst, v[:4]...), '-'), v[4:6]...), '-'), v[6:]...)
	case len(v) == 10 && v[2] == '.' && v[5] == '.':
		return append(append(append(append(append(dst, v[6:]...), '-'), v[3:5]...), '-'), v[:2]...)
	}
	return append(dst, v...)
}

// isoClock appends a time of day as ISO has it, where it is 9:05, 9:05:00 or 9:05:00 PM.
func isoClock(dst, v []byte) []byte {
	half := byte(0)
	if n := len(v); n > 2 && (v[n-1] == 'M' || v[n-1] == 'm') {
		half = v[n-2] &^ 0x20
		v = bytes.TrimRight(v[:n-2], " ")
	}
	hour, rest, _ := bytes.Cut(v, []byte(":"))
	h := times.Digits(hour, 0, len(hour))
	if half == 'P' && h < 12 {
		h += 12
	} else if half == 'A' && h == 12 {
		h = 0
	}
	dst = append(dst, '0'+byte(h/10), '0'+byte(h%10), ':')
	if len(rest) == 2 {
		return append(append(dst, rest...), ":00"...)
	}
	return append(dst, rest...)
}

// zoned appends the zone that a field beside the time has.
func (k *keyed) zoned(text []byte) []byte {
	for i := range k.fields {
		d := &k.fields[i]
		if slices.Contains(zoneKeys[:], d.node.key) && len(d.val) >= 5 && (d.val[0] == '+' || d.val[0] == '-') {
			return append(text, d.val...)
		}
	}
	return text
}

// whole reads a text as a time.
func (k *keyed) whole(v []byte, z *times.Zone) times.Instant {
	if len(k.times) > 0 {
		return k.times.Whole(v, z)
	}
	return times.Text(v, z)
}

// untimed marks the row of a record that has no time, and says why.
func (k *keyed) untimed(r *reader) {
	switch {
	case k.failed != nil && len(k.times) > 0:
		r.b.FailUntimed("the time in " + k.failed.node.name + " is not as time_format says: " + k.times.Why(k.failed.val, &r.zone))
	case k.failed == &k.apart:
		r.b.FailUntimed("the date and the time of day in it are of no usual form: time_format can say how they are written; ts is when it was read")
	case len(k.chosen) > 0 && k.failed == nil:
		r.b.FailUntimed(fmt.Sprintf("there is no time under %s: ts is when it was read", keysOf(k.chosen)))
	default:
		r.noTime()
	}
}

func keysOf(keys []string) string {
	if len(keys) == 2 {
		return keys[0] + " and " + keys[1]
	}
	return keys[0]
}

// time reads a value as a time.
func (k *keyed) time(d *field, z *times.Zone) times.Instant {
	if len(k.times) > 0 {
		return k.times.Whole(d.val, z)
	}
	switch d.kind {
	case kindLong:
		t := times.EpochInt(int64(d.num))
		if d.node.nanos != "" {
			k.finer(&t, d.node)
		}
		return t
	case kindDouble:
		return times.EpochFloat(d.double())
	case kindString:
		return times.Text(d.val, z)
	case kindText: // a number that no double holds whole
		return times.Epoch(d.val)
	}
	return times.Instant{}
}

// finer adds the nanoseconds that stand beside a time's seconds.
func (k *keyed) finer(t *times.Instant, seconds *node) {
	for i := range k.fields {
		d := &k.fields[i]
		if n := d.node; n.parent == seconds.parent && n.key == seconds.nanos && d.kind == kindLong && d.num < 1e9 {
			t.Micros += int64(d.num / 1000)
			return
		}
	}
}
