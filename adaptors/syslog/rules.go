package syslog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// Rule names the data type of the messages that fit it. What is not given fits
// all.
type Rule struct {
	Facility []Facility  `config:"facility"`
	Severity *Severities `config:"severity"`
	Type     string      `config:"type,required"`
}

// Validate implements config.Validator.
func (r *Rule) Validate(n config.Node) config.Problems {
	if node := n.Get("type"); node.Given() && chunk.CheckType(r.Type) != nil {
		return config.Problems{node.Problemf("%q must match %s", r.Type, chunk.TypePattern)}
	}
	return nil
}

func (r *Rule) fits(p priority) bool {
	if len(r.Facility) > 0 && !slices.Contains(r.Facility, Facility(p.facility())) {
		return false
	}
	return r.Severity == nil || r.Severity.holds(p.severity())
}

// priority is a message's PRI: facility times 8 plus severity (RFC 5424,
// 6.2.1).
type priority uint8

// noPriority is what a message without PRI counts as: user.notice (RFC 3164,
// 4.3.3).
const noPriority priority = 1*8 + 5

func (p priority) facility() int { return int(p) / 8 }
func (p priority) severity() int { return int(p) % 8 }

// priorityOf reads "<PRI>" at the start of a message.
func priorityOf(msg []byte) priority {
	n := 0
	for i, c := range msg[:min(len(msg), 5)] {
		switch {
		case i == 0 && c == '<':
		case i > 0 && c >= '0' && c <= '9' && i < 4:
			n = n*10 + int(c-'0')
		case i > 1 && c == '>' && n <= 191:
			return priority(n)
		default:
			return noPriority
		}
	}
	return noPriority
}

var facilities = [...]string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

// Facility is a facility by its name or its number.
type Facility int

// Want implements config.Wanter.
func (Facility) Want() string {
	return "a facility, one of " + strings.Join(facilities[:], ", ") + ", or its number"
}

func (f Facility) String() string { return facilities[f] }

// MarshalText implements encoding.TextMarshaler.
func (f Facility) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *Facility) UnmarshalText(text []byte) error {
	s := strings.ToLower(string(text))
	if s == "security" { // an old name
		s = "auth"
	}
	i := slices.Index(facilities[:], s)
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n < len(facilities) {
		i = n
	}
	if i < 0 {
		if near := config.Nearest(s, facilities[:]); near != "" {
			return fmt.Errorf("there is none of that name; did you mean %q?", near)
		}
		return fmt.Errorf("there is none of that name")
	}
	*f = Facility(i)
	return nil
}

var severities = [...]string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}

var severityAliases = map[string]string{
	"emergency": "emerg", "panic": "emerg", "critical": "crit", "error": "err", "warn": "warning",
	"informational": "info", "information": "info",
}

// Severities is one severity or a range of them. As their numbers do, "<=err"
// means err and what is worse.
type Severities struct{ from, to int }

func (s Severities) holds(n int) bool { return n >= s.from && n <= s.to }

// Want implements config.Wanter.
func (Severities) Want() string {
	return "a severity, one of " + strings.Join(severities[:], ", ") + ", alone or after <=, <, >= or > (<=err is err and worse)"
}

func (s Severities) String() string {
	switch s.from {
	case s.to:
		return severities[s.from]
	case 0:
		return "<=" + severities[s.to]
	}
	return ">=" + severities[s.from]
}

// MarshalText implements encoding.TextMarshaler.
func (s Severities) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Severities) UnmarshalText(text []byte) error {
	name := strings.TrimLeft(string(text), "<>=")
	op := string(text)[:len(text)-len(name)]
	name = strings.ToLower(strings.TrimSpace(name))
	if long, ok := severityAliases[name]; ok {
		name = long
	}
	i := slices.Index(severities[:], name)
	if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < len(severities) {
		i = n
	}
	if i < 0 {
		return fmt.Errorf("there is none of that name")
	}
	last := len(severities) - 1
	switch op {
	case "", "=", "==":
		*s = Severities{i, i}
	case "<=":
		*s = Severities{0, i}
	case ">=":
		*s = Severities{i, last}
	case "<":
		*s = Severities{0, i - 1}
	case ">":
		*s = Severities{i + 1, last}
	default:
		return fmt.Errorf("%q is no comparison", op)
	}
	if s.from > s.to {
		return fmt.Errorf("no severity fits it")
	}
	return nil
}
