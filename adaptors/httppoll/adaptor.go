package httppoll

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/fetch"
	"github.com/akupara/akupara/adaptors/internal/procfs"
	"github.com/akupara/akupara/adaptors/internal/rounds"
	"github.com/akupara/akupara/chunk"
)

// Adaptor asks its URLs.
type Adaptor struct {
	cfg    Config
	source string
	wrong  rounds.Failures // by URL
}

// New makes an adaptor from what Decode found valid; it asks nothing.
func New(cfg Config) (*Adaptor, error) {
	a := &Adaptor{cfg: cfg, source: "http_poll"}
	if len(cfg.URLs) == 1 {
		a.source = fetch.Shown(string(cfg.URLs[0]))
	}
	return a, nil
}

// Status implements adaptors.Adaptor. The last error tells which URLs failed
// last time.
func (a *Adaptor) Status() adaptors.Status { return adaptors.Status{LastErr: a.wrong.String()} }

// target is one URL.
type target struct {
	url, shown string
	name       string // in the status: two URLs may differ in what is not shown
	// What tells an answer from the one before, with only_changed.
	etag, modified string
	sum            [sha256.Size]byte
}

// Run implements adaptors.Adaptor. It fails when a file that TLS needs can't be
// read. A poll that fails is told in the status and tried again in its turn.
func (a *Adaptor) Run(ctx context.Context, env adaptors.Env) error {
	client, err := fetch.Open(a.cfg.Config)
	if err != nil {
		return err
	}
	defer client.Close()
	targets := make([]target, len(a.cfg.URLs))
	for i, u := range a.cfg.URLs {
		shown := fetch.Shown(string(u))
		targets[i] = target{url: string(u), shown: shown, name: shown}
		if slices.ContainsFunc(targets[:i], func(t target) bool { return t.shown == shown }) {
			targets[i].name = fmt.Sprintf("%s (urls[%d])", shown, i)
		}
	}
	return rounds.Run(ctx, len(targets), a.cfg.Every.Std(), func(ctx context.Context, i int) error {
		return a.once(ctx, env, client, &targets[i])
	})
}

// maxError is how many bytes of an error are kept.
const maxError = 1024

// once asks one URL and sends what it answers. The error is that of sending.
func (a *Adaptor) once(ctx context.Context, env adaptors.Env, client *fetch.Client, t *target) error {
	now := time.Now().UTC().Truncate(time.Microsecond)
	c, next, err := a.poll(ctx, client, t)
	if ctx.Err() != nil {
		return ctx.Err() // the agent stops: the poll was cut short
	}
	why := ""
	if err != nil {
		why = procfs.Text([]byte(err.Error()), maxError)
		if a.cfg.ReportErrors {
			if c, err = failure(t, now, why, err); err != nil {
				return err
			}
		}
	}
	if a.wrong.Note(t.name, why) && why != "" {
		env.Log.Warn("a poll failed; it is tried again in its turn", "url", t.name, "error", why)
	}
	if c == nil || len(c.Body) == 0 {
		*t = next
		return nil
	}
	c.Source, c.Time = a.source, now
	c.Tags["url"] = t.shown
	if err := env.Out.Send(ctx, c); err != nil {
		return fmt.Errorf("send what %s answered: %w", t.shown, err)
	}
	*t = next
	return nil
}

// badStatus is an answer that is no success.
type badStatus struct {
	status int
	said   []byte
}

func (e *badStatus) Error() string {
	text := fmt.Sprintf("status %d", e.status)
	if said := procfs.Text(e.said, 200); said != "" {
		text += fmt.Sprintf(", and %q", said)
	}
	return text
}

// failure is the record of a poll that failed.
func failure(t *target, now time.Time, why string, err error) (*chunk.Chunk, error) {
	r := struct {
		TS     string `json:"ts"`
		URL    string `json:"url"`
		Status int    `json:"status,omitempty"`
		Error  string `json:"error"`
	}{now.Format("2006-01-02T15:04:05.000000Z07:00"), t.shown, 0, why}
	c := &chunk.Chunk{Tags: map[string]string{}}
	if bad := new(badStatus); errors.As(err, &bad) {
		r.Status = bad.status
		c.Tags["status"] = strconv.Itoa(bad.status)
	}
	body, err := json.Marshal(&r)
	if err != nil {
		return nil, fmt.Errorf("encode a failure: %w", err)
	}
	c.Body = append(body, '\n')
	return c, nil
}

// poll asks and gives the chunk to send, nil where there is nothing new, and
// what the target is once that was sent.
func (a *Adaptor) poll(ctx context.Context, client *fetch.Client, t *target) (c *chunk.Chunk, next target, err error) {
	next = *t
	req := fetch.Request{URL: t.url, Header: http.Header{}}
	if a.cfg.OnlyChanged {
		if t.etag != "" {
			req.Header.Set("If-None-Match", t.etag)
		}
		if t.modified != "" {
			req.Header.Set("If-Modified-Since", t.modified)
		}
	}
	answer, err := client.Do(ctx, req)
	if err != nil {
		return nil, next, err
	}
	if answer.Status == http.StatusNotModified && a.cfg.OnlyChanged {
		return nil, next, nil
	}
	if answer.Status < 200 || answer.Status > 299 {
		return nil, next, &badStatus{answer.Status, answer.Body}
	}
	if a.cfg.OnlyChanged {
		next.etag, next.modified = answer.Header.Get("ETag"), answer.Header.Get("Last-Modified")
		next.sum = sha256.Sum256(answer.Body)
		if next.sum == t.sum {
			return nil, next, nil
		}
	}
	c = &chunk.Chunk{Tags: map[string]string{"status": strconv.Itoa(answer.Status)}, Body: answer.Body}
	switch a.cfg.Split {
	case "array":
		if c.Body, err = elements(answer.Body, a.cfg.Items); err != nil {
			return nil, *t, err
		}
	case "lines":
		c.Encoding = encodingOf(answer)
	default:
		c.Encoding = encodingOf(answer)
		if len(c.Body) > 0 {
			c.Borders = []int64{int64(len(c.Body))}
		}
	}
	return c, next, nil
}
