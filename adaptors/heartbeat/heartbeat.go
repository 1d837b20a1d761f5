// Package heartbeat is the adaptor that tells, at intervals, that the agent is
// alive, and whether servers answer and processes run. Each look is one JSON
// object a line, of the data type heartbeat.
package heartbeat

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/fetch"
	"github.com/akupara/akupara/config"
)

// Config is the kind's own part of an adaptor's config.
type Config struct {
	Every  config.Duration `config:"every" min:"100ms"`
	Beat   bool            `config:"beat"` // a record of the agent itself, too
	Checks []Check         `config:"checks"`
}

// Check is one thing to look at: exactly one of HTTP, TCP and Process.
type Check struct {
	Name    string        `config:"name,required"`
	HTTP    *HTTPCheck    `config:"http"`
	TCP     *TCPCheck     `config:"tcp"`
	Process *ProcessCheck `config:"process"`
}

// HTTPCheck asks a server.
type HTTPCheck struct {
	URL    fetch.URL     `config:"url,required"`
	Method string        `config:"method" oneof:"GET|HEAD|POST|PUT|OPTIONS"`
	Status []Status      `config:"status"` // that are well
	Body   config.Regexp `config:"body"`   // that the answer's body must match
	fetch.Config
}

// SetDefaults implements config.Defaulter.
func (c *HTTPCheck) SetDefaults() {
	c.Method, c.Status = "GET", []Status{{200, 399}}
	c.Config = fetch.DefaultConfig()
	c.MaxBody = 1 << 20
}

// Validate implements config.Validator.
func (c *HTTPCheck) Validate(n config.Node) config.Problems {
	out := c.Check(n)
	if s := n.Get("status"); s.Given() && len(c.Status) == 0 {
		out = append(out, s.Problemf("it is empty; want at least one status, such as 200 or 200-299"))
	}
	return out
}

// Status is a range of HTTP statuses, both ends in it.
type Status struct{ From, To int }

// Want implements config.Wanter.
func (Status) Want() string { return "a status or a range of them, such as 200 or 200-299" }

func (s Status) String() string {
	if s.From == s.To {
		return strconv.Itoa(s.From)
	}
	return fmt.Sprintf("%d-%d", s.From, s.To)
}

// MarshalText implements encoding.TextMarshaler.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Status) UnmarshalText(text []byte) error {
	from, to, ranged := strings.Cut(string(text), "-")
	if !ranged {
		to = from
	}
	a, errA := strconv.Atoi(from)
	b, errB := strconv.Atoi(to)
	if errA != nil || errB != nil || a < 100 || b > 599 || b < a {
		return fmt.Errorf("statuses are from 100 to 599")
	}
	*s = Status{a, b}
	return nil
}

// TCPCheck connects to a server.
type TCPCheck struct {
	Address string          `config:"address,required"` // host:port
	Banner  config.Regexp   `config:"banner"`           // that what the server says first must match
	Timeout config.Duration `config:"timeout" min:"10ms" max:"1h"`
}

// SetDefaults implements config.Defaulter.
func (c *TCPCheck) SetDefaults() { c.Timeout = config.Duration(10 * time.Second) }

// Validate implements config.Validator.
func (c *TCPCheck) Validate(n config.Node) config.Problems {
	if c.Address == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(c.Address)
	if p, perr := strconv.ParseUint(port, 10, 16); err != nil || host == "" || perr != nil || p == 0 {
		return config.Problems{n.Get("address").Problemf("%q is not an address; want host:port, such as 127.0.0.1:5432", c.Address)}
	}
	return nil
}

// ProcessCheck counts processes: those that match both patterns, or the one of
// the pid file.
type ProcessCheck struct {
	Name    config.Regexp `config:"name"`    // of the program, as ps has it: at most 15 bytes
	Cmdline config.Regexp `config:"cmdline"` // program and arguments, spaces between, the first 4 KiB
	PIDFile string        `config:"pid_file"`
	Min     int           `config:"min" min:"0" max:"1000000"`
	Max     int           `config:"max" min:"0" max:"1000000"` // 0: any number
	Proc    string        `config:"proc"`                      // where the kernel's process file system is

	roots adaptors.Roots
}

// procDir is where the kernel's process file system most often is.
const procDir = "/proc"

// SetDefaults implements config.Defaulter.
func (c *ProcessCheck) SetDefaults() { c.Min, c.Proc = 1, procDir }

// Validate implements config.Validator.
func (c *ProcessCheck) Validate(n config.Node) config.Problems {
	patterns := c.Name.Regexp != nil || c.Cmdline.Regexp != nil
	switch {
	case !patterns && c.PIDFile == "":
		return config.Problems{n.Problemf("it names no process; want \"name\", \"cmdline\" or \"pid_file\"")}
	case patterns && c.PIDFile != "":
		return config.Problems{n.Get("pid_file").Problemf("a process is found by its pid file or by patterns; both are given")}
	case c.Max > 0 && c.Max < c.Min:
		return config.Problems{n.Get("max").Problemf("%d is less than \"min\", %d", c.Max, c.Min)}
	case !strings.HasPrefix(c.Proc, "/"):
		return config.Problems{n.Get("proc").Problemf("%q is not a path that starts with /", c.Proc)}
	}
	return nil
}

// DefaultConfig is what holds where a key is not given.
func DefaultConfig() Config { return Config{Every: config.Duration(10 * time.Second), Beat: true} }

// maxChecks bounds the checks of an adaptor.
const maxChecks = 200

// Validate implements config.Validator.
func (c *Config) Validate(n config.Node) config.Problems {
	var out config.Problems
	checks := n.Get("checks")
	if len(c.Checks) > maxChecks {
		out = append(out, checks.Problemf("%d checks; at most %d are allowed", len(c.Checks), maxChecks))
	}
	if len(c.Checks) == 0 && !c.Beat {
		out = append(out, n.Get("beat").Problemf("without a beat there is nothing to do; want \"checks\""))
	}
	items := checks.Items()
	seen := map[string]bool{}
	for i := range min(len(items), len(c.Checks)) {
		check, item := &c.Checks[i], items[i]
		if name := item.Get("name"); name.Given() {
			switch {
			case check.Name == "" || len(check.Name) > 200:
				out = append(out, name.Problemf("a name has from 1 to 200 bytes"))
			case seen[check.Name]:
				out = append(out, name.Problemf("the name %q is taken by another check", check.Name))
			}
			seen[check.Name] = true
		}
		given := 0
		for _, what := range [...]string{"http", "tcp", "process"} {
			if item.Get(what).Given() {
				given++
			}
		}
		if given != 1 {
			out = append(out, item.Problemf("a check has exactly one of \"http\", \"tcp\" and \"process\"; here are %d", given))
		}
	}
	return out
}

// Needs implements adaptors.Needer.
func (c *Config) Needs() []adaptors.Need {
	var out []adaptors.Need
	need := func(what adaptors.What, value string) { out = append(out, adaptors.Need{What: what, Value: value}) }
	for i := range c.Checks {
		if h := c.Checks[i].HTTP; h != nil {
			need(adaptors.URL, string(h.URL))
			for _, f := range h.Files() {
				need(adaptors.File, f)
			}
		}
		if t := c.Checks[i].TCP; t != nil {
			need(adaptors.URL, "tcp://"+t.Address)
		}
		if p := c.Checks[i].Process; p != nil {
			if p.PIDFile != "" {
				need(adaptors.File, p.PIDFile)
			}
			if p.Proc != procDir {
				need(adaptors.File, p.Proc)
			}
		}
	}
	return out
}

// SetRoots implements adaptors.Rooter.
func (c *Config) SetRoots(r adaptors.Roots) {
	for i := range c.Checks {
		if h := c.Checks[i].HTTP; h != nil {
			h.Bind(r)
		}
		if p := c.Checks[i].Process; p != nil {
			p.roots = r
		}
	}
}

// Kind describes the kind to the agent.
func Kind() adaptors.Kind {
	return adaptors.Make("heartbeat", "tells at intervals that the agent is alive, and whether servers and processes are",
		DefaultConfig, New, adaptors.OwnTypes)
}

// Type is the data type of the kind's records.
const Type = "heartbeat"
