package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The calls give the API's reply as it came, nil where there is none; Decode
// reads it. Their errors are *Refused and *Away.

// Adaptors lists all: []Adaptor.
func (c *Client) Adaptors(ctx context.Context) ([]byte, error) {
	return c.call(ctx, http.MethodGet, "/adaptors", nil)
}

// Adaptor shows one: Adaptor, with its entry.
func (c *Client) Adaptor(ctx context.Context, name string) ([]byte, error) {
	return c.call(ctx, http.MethodGet, adaptorPath(name, ""), nil)
}

// Add adds an adaptor by its entry, in YAML or JSON: Adaptor.
func (c *Client) Add(ctx context.Context, entry []byte) ([]byte, error) {
	return c.call(ctx, http.MethodPost, "/adaptors", entry)
}

// Update replaces an adaptor's entry: Adaptor.
func (c *Client) Update(ctx context.Context, name string, entry []byte) ([]byte, error) {
	return c.call(ctx, http.MethodPut, adaptorPath(name, ""), entry)
}

// Remove stops and removes an adaptor; there is no reply.
func (c *Client) Remove(ctx context.Context, name string) ([]byte, error) {
	return c.call(ctx, http.MethodDelete, adaptorPath(name, ""), nil)
}

// Start starts an adaptor: Adaptor.
func (c *Client) Start(ctx context.Context, name string) ([]byte, error) {
	return c.call(ctx, http.MethodPost, adaptorPath(name, "/start"), nil)
}

// Stop stops an adaptor: Adaptor.
func (c *Client) Stop(ctx context.Context, name string) ([]byte, error) {
	return c.call(ctx, http.MethodPost, adaptorPath(name, "/stop"), nil)
}

// Rewind sets an adaptor's streams back: Rewound.
func (c *Client) Rewind(ctx context.Context, name string, r Rewind) ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode rewind: %w", err)
	}
	return c.call(ctx, http.MethodPost, adaptorPath(name, "/rewind"), body)
}

func adaptorPath(name, action string) string { return "/adaptors/" + url.PathEscape(name) + action }

// Page is a part of a list. Zero values mean the agent's defaults.
type Page struct {
	Adaptor       string // of this one alone
	Limit, Offset int
}

func (p Page) query() string {
	q := url.Values{}
	if p.Adaptor != "" {
		q.Set("adaptor", p.Adaptor)
	}
	if p.Limit > 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	if p.Offset > 0 {
		q.Set("offset", strconv.Itoa(p.Offset))
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// Streams lists streams: Streams.
func (c *Client) Streams(ctx context.Context, p Page) ([]byte, error) {
	return c.call(ctx, http.MethodGet, "/streams"+p.query(), nil)
}

// Switches lists all switches: []Switch.
func (c *Client) Switches(ctx context.Context) ([]byte, error) {
	return c.call(ctx, http.MethodGet, "/switches", nil)
}

// SetSwitch sets a switch by its entry without a name: Switch.
func (c *Client) SetSwitch(ctx context.Context, name string, entry []byte) ([]byte, error) {
	return c.call(ctx, http.MethodPut, "/switches/"+url.PathEscape(name), entry)
}

// RemoveSwitch takes a switch back; there is no reply.
func (c *Client) RemoveSwitch(ctx context.Context, name string) ([]byte, error) {
	return c.call(ctx, http.MethodDelete, "/switches/"+url.PathEscape(name), nil)
}

// Reload has the agent read its config again: Config.
func (c *Client) Reload(ctx context.Context) ([]byte, error) {
	return c.call(ctx, http.MethodPost, "/config/reload", nil)
}

// Drained reports whether reading is held: Drain.
func (c *Client) Drained(ctx context.Context) ([]byte, error) {
	return c.call(ctx, http.MethodGet, "/drain", nil)
}

// Drain holds reading and waits until what was read is settled, for so long at
// most: Drain.
func (c *Client) Drain(ctx context.Context, timeout time.Duration) ([]byte, error) {
	body, err := json.Marshal(map[string]string{"timeout": timeout.String()})
	if err != nil {
		return nil, fmt.Errorf("encode drain: %w", err)
	}
	return c.call(ctx, http.MethodPost, "/drain", body)
}

// Resume lets reading go on; there is no reply.
func (c *Client) Resume(ctx context.Context) ([]byte, error) {
	return c.call(ctx, http.MethodDelete, "/drain", nil)
}

// Decode reads a reply. Keys that are not known are left alone: the agent may
// be newer.
func Decode[T any](reply []byte) (T, error) {
	var v T
	if err := json.Unmarshal(reply, &v); err != nil {
		return v, fmt.Errorf("read the agent's reply: %w", err)
	}
	return v, nil
}
