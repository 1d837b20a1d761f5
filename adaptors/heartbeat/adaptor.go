package heartbeat

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/procfs"
	"github.com/akupara/akupara/adaptors/internal/rounds"
	"github.com/akupara/akupara/chunk"
)

// record is what one look gives. Keys without a value are left out.
type record struct {
	TS      string   `json:"ts"`   // when the look began, RFC 3339 with microseconds
	Name    string   `json:"name"` // the check's; "agent" for the agent's own
	Kind    string   `json:"kind"` // agent, http, tcp, process
	Target  string   `json:"target,omitempty"`
	Up      bool     `json:"up"`
	Latency *float64 `json:"latency_ms,omitempty"` // of a whole answer, or of connecting
	Status  *int     `json:"status,omitempty"`     // of HTTP
	Running *int     `json:"running,omitempty"`    // processes that match
	Uptime  *float64 `json:"uptime_s,omitempty"`   // of the agent
	PID     *int     `json:"pid,omitempty"`        // of the agent
	Version string   `json:"version,omitempty"`    // of the agent
	Error   string   `json:"error,omitempty"`      // why it is not up
}

// probe looks once and fills the record. What is wrong is its error.
type probe interface {
	look(ctx context.Context, r *record) error
	close()
}

// entry is one probe with what records say of it.
type entry struct {
	name, kind, target string
	probe
}

// Adaptor looks at intervals.
type Adaptor struct {
	cfg   Config
	wrong rounds.Failures // by check
}

// New makes an adaptor from what Decode found valid; it looks at nothing.
func New(cfg Config) (*Adaptor, error) { return &Adaptor{cfg: cfg}, nil }

// Status implements adaptors.Adaptor. The last error tells which checks are
// not up.
func (a *Adaptor) Status() adaptors.Status {
	return adaptors.Status{LastErr: a.wrong.String()}
}

// Run implements adaptors.Adaptor. That something is not up is a record, and
// no error.
func (a *Adaptor) Run(ctx context.Context, env adaptors.Env) error {
	entries := a.entries()
	err := rounds.Run(ctx, len(entries), a.cfg.Every.Std(), func(ctx context.Context, i int) error {
		return a.once(ctx, env, &entries[i])
	})
	for _, e := range entries {
		e.close()
	}
	return err
}

func (a *Adaptor) entries() []entry {
	var out []entry
	if a.cfg.Beat {
		out = append(out, entry{"agent", "agent", "", newBeat()})
	}
	for i := range a.cfg.Checks {
		c := &a.cfg.Checks[i]
		switch {
		case c.HTTP != nil:
			out = append(out, newHTTP(c.Name, c.HTTP))
		case c.TCP != nil:
			out = append(out, entry{c.Name, "tcp", c.TCP.Address, &tcpProbe{c.TCP}})
		case c.Process != nil:
			out = append(out, newProcess(c.Name, c.Process))
		}
	}
	return out
}

// maxError is how many bytes of an error a record holds.
const maxError = 1024

// once looks and sends one record. The error is that of sending.
func (a *Adaptor) once(ctx context.Context, env adaptors.Env, e *entry) error {
	now := time.Now().UTC().Truncate(time.Microsecond)
	r := record{TS: now.Format("2006-01-02T15:04:05.000000Z07:00"), Name: e.name, Kind: e.kind, Target: e.target}
	err := e.look(ctx, &r)
	if ctx.Err() != nil {
		return ctx.Err() // the agent stops: the look was cut short
	}
	r.Up = err == nil
	if err != nil {
		r.Error = procfs.Text([]byte(err.Error()), maxError)
	}
	a.wrong.Note(e.name, r.Error)
	body, err := json.Marshal(&r)
	if err != nil {
		return fmt.Errorf("encode %s: %w", e.name, err)
	}
	c := chunk.Chunk{Type: Type, Source: "heartbeat", Time: now, Body: append(body, '\n')}
	if err := env.Out.Send(ctx, &c); err != nil {
		return fmt.Errorf("send %s: %w", e.name, err)
	}
	return nil
}

// beat tells of this process.
type beat struct {
	pid     int
	started time.Time
	version string
}

func newBeat() *beat {
	b := &beat{pid: os.Getpid(), started: time.Now()}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.version = versionOf(info)
	}
	const proc procfs.Dir = "/proc"
	boot, err := proc.Boot()
	if s, statErr := proc.Stat(b.pid); err == nil && statErr == nil {
		b.started = boot.Add(time.Duration(s.Start) * procfs.Tick)
	}
	return b
}

// versionOf is the version of a release, or else the commit that was built.
func versionOf(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(len(s.Value), 12)]
		}
	}
	return ""
}

func (b *beat) look(_ context.Context, r *record) error {
	up := float64(max(0, time.Since(b.started).Milliseconds())) / 1000
	r.Uptime, r.PID, r.Version = &up, &b.pid, b.version
	return nil
}

func (*beat) close() {}
