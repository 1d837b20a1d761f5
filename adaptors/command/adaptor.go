package command

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/cut"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// Adaptor runs one program.
type Adaptor struct {
	cfg    Config
	cutter *cut.Cutter
	source string

	mu      sync.Mutex
	lastErr string
}

// New makes an adaptor from what Decode found valid; it runs nothing.
func New(cfg Config) (*Adaptor, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = max(cfg.Every, config.Duration(time.Minute))
	}
	// All that has to be there for a record to be cut off fits into a chunk.
	cutter, err := cfg.Cutter("", min(int(cfg.Max), chunk.MaxBody-(256<<10)))
	if err != nil {
		return nil, err
	}
	source := strings.Join(cfg.Command, " ")
	if len(source) > 4096 {
		source = strings.ToValidUTF8(source[:4096], "")
	}
	return &Adaptor{cfg: cfg, cutter: cutter, source: source}, nil
}

// Status implements adaptors.Adaptor.
func (a *Adaptor) Status() adaptors.Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	return adaptors.Status{LastErr: a.lastErr}
}

func (a *Adaptor) setErr(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lastErr = text
}

// Run implements adaptors.Adaptor. It fails when the program can't be started,
// and when one that should run for ever ends.
func (a *Adaptor) Run(ctx context.Context, env adaptors.Env) error {
	if a.cfg.Every == 0 {
		return a.stream(ctx, env)
	}
	t := time.NewTicker(a.cfg.Every.Std())
	defer t.Stop()
	for {
		if err := a.once(ctx, env); err != nil {
			return err
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// maxStderr is how many bytes of a run's standard error are kept, the last ones.
const maxStderr = 2048

// once makes one run, and sends its output as one record. What goes wrong in
// the program is told in the record's tags and in the status.
func (a *Adaptor) once(ctx context.Context, env adaptors.Env) error {
	started := time.Now()
	runCtx, cancel := context.WithTimeout(ctx, a.cfg.Timeout.Std())
	defer cancel()
	stdout := &capture{limit: int(a.cfg.Max)}
	stderr := &tail{}
	p, err := start(runCtx, a.cfg.Command, stdout, stderr)
	if err != nil {
		return err
	}
	code, err := p.wait()
	if ctx.Err() != nil {
		return nil // the agent stops, not the program
	}
	c := chunk.Chunk{Source: a.source, Time: started, Tags: map[string]string{}, Body: stdout.kept}
	var wrong []string
	if stdout.lost > 0 {
		c.Tags["truncated"] = fmt.Sprintf("%d bytes more", stdout.lost)
		wrong = append(wrong, fmt.Sprintf("its output is longer than %d bytes by %d", a.cfg.Max, stdout.lost))
	}
	switch {
	case p.ended.Load():
		c.Tags["timeout"] = a.cfg.Timeout.String()
		wrong = append(wrong, fmt.Sprintf("it was ended after %v", a.cfg.Timeout))
	case code != 0:
		c.Tags["exit_code"] = fmt.Sprint(code)
		wrong = append(wrong, fmt.Sprintf("exit code %d", code))
	case err != nil:
		wrong = append(wrong, err.Error())
	}
	if len(wrong) > 0 && len(stderr.kept) > 0 {
		text := strings.ToValidUTF8(strings.TrimSpace(string(stderr.kept)), "�")
		c.Tags["stderr"] = text
		wrong = append(wrong, text)
	}
	a.setErr(strings.Join(wrong, "; "))
	if len(c.Body) == 0 {
		return nil // nothing was said: there is no record
	}
	c.Borders = []int64{int64(len(c.Body))}
	if err := env.Out.Send(ctx, &c); err != nil && ctx.Err() == nil {
		return fmt.Errorf("send a run of %s: %w", a.cfg.program(), err)
	}
	return nil
}

// capture keeps the first bytes that are written to it and counts the others.
type capture struct {
	limit int
	kept  []byte
	lost  int64
}

func (c *capture) Write(b []byte) (int, error) {
	n := min(len(b), c.limit-len(c.kept))
	c.kept = append(c.kept, b[:n]...)
	c.lost += int64(len(b) - n)
	return len(b), nil
}
