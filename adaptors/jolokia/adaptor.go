package jolokia

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/fetch"
	"github.com/akupara/akupara/adaptors/internal/rounds"
	"github.com/akupara/akupara/chunk"
)

// Adaptor reads from its URLs.
type Adaptor struct {
	cfg    Config
	source string
	wrong  rounds.Failures // by URL
}

// New makes an adaptor from what Decode found valid; it reads nothing.
func New(cfg Config) (*Adaptor, error) {
	a := &Adaptor{cfg: cfg, source: "jolokia"}
	if len(cfg.URLs) == 1 {
		a.source = fetch.Shown(string(cfg.URLs[0]))
	}
	return a, nil
}

// Status implements adaptors.Adaptor. The last error tells which URLs, and
// which MBeans there, could not be read last time.
func (a *Adaptor) Status() adaptors.Status { return adaptors.Status{LastErr: a.wrong.String()} }

// Run implements adaptors.Adaptor. It fails when a file that TLS needs can't be
// read. What can't be read otherwise is told in the status and tried again in
// its turn.
func (a *Adaptor) Run(ctx context.Context, env adaptors.Env) error {
	client, err := fetch.Open(a.cfg.Config)
	if err != nil {
		return err
	}
	defer client.Close()
	return rounds.Run(ctx, len(a.cfg.URLs), a.cfg.Every.Std(), func(ctx context.Context, i int) error {
		return a.once(ctx, env, client, string(a.cfg.URLs[i]))
	})
}

// once reads from one URL and sends the records. The error is that of sending.
func (a *Adaptor) once(ctx context.Context, env adaptors.Env, client *fetch.Client, url string) error {
	now := time.Now().UTC().Truncate(time.Microsecond)
	shown := fetch.Shown(url)
	body, why := a.read(ctx, client, url, now)
	if ctx.Err() != nil {
		return ctx.Err() // the agent stops: the reading was cut short
	}
	if a.wrong.Note(shown, why) && why != "" {
		env.Log.Warn("MBeans can't be read; it is tried again in its turn", "url", shown, "error", why)
	}
	for len(body) > 0 {
		n := len(body)
		if n > chunk.MaxBody {
			n = bytes.LastIndexByte(body[:chunk.MaxBody], '\n') + 1
		}
		c := chunk.Chunk{Source: a.source, Time: now, Tags: map[string]string{"url": shown}, Body: body[:n]}
		if err := env.Out.Send(ctx, &c); err != nil {
			return fmt.Errorf("send what %s answered: %w", shown, err)
		}
		body = body[n:]
	}
	return nil
}

// read returns the records of all MBeans, and tells what is wrong.
func (a *Adaptor) read(ctx context.Context, client *fetch.Client, url string, now time.Time) (body []byte, why string) {
	reqs := a.cfg.requests()
	list, err := ask(ctx, client, url, reqs)
	var refused *refusal
	if errors.As(err, &refused) && len(reqs) > 1 {
		list, err = a.singly(ctx, client, url, reqs)
	}
	if err != nil {
		return nil, shorten(err.Error())
	}
	ts := now.Format("2006-01-02T15:04:05.000000Z07:00")
	for i := range list {
		var failed string
		if body, failed = records(body, ts, &a.cfg.MBeans[i], &list[i]); failed != "" {
			why = shorten(a.cfg.MBeans[i].Name + ": " + failed)
		}
	}
	return body, why
}

// singly asks for one MBean at a time, where all together were refused: most
// often for the sake of one.
func (a *Adaptor) singly(ctx context.Context, client *fetch.Client, url string, reqs []request) ([]response, error) {
	list := make([]response, len(reqs))
	for i := range reqs {
		one, err := ask(ctx, client, url, reqs[i:i+1])
		var refused *refusal
		switch {
		case errors.As(err, &refused):
			list[i] = response{Status: refused.status, Error: refused.why}
		case err != nil:
			return nil, err
		default:
			list[i] = one[0]
		}
	}
	return list, nil
}

// ask posts a bulk request. The answer has as many responses.
func ask(ctx context.Context, client *fetch.Client, url string, reqs []request) ([]response, error) {
	body, err := json.Marshal(reqs)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	answer, err := client.Do(ctx, fetch.Request{
		Method: http.MethodPost, URL: url, Body: body, NoRedirects: true,
		Header: http.Header{"Content-Type": {"application/json"}},
	})
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		if to := answer.Header.Get("Location"); to != "" {
			return nil, fmt.Errorf("status %d: it redirects to %s; ask there", answer.Status, fetch.Shown(to))
		}
		return nil, fmt.Errorf("status %d", answer.Status)
	}
	return decode(answer.Body, len(reqs))
}
