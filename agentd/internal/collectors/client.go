// Package collectors talks to collectors over HTTP/1.1 with keep-alive, and
// chooses the one that gets the next batch.
package collectors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/akupara/akupara/chunk/wire"
)

// Client speaks the wire protocol. It is safe for concurrent use.
type Client struct {
	http    *http.Client
	timeout time.Duration // of a post
	ask     time.Duration // of a question for receipts
}

// NewClient makes a client whose posts and questions take so long at most.
// conns is how many connections per collector are kept open.
func NewClient(post, ask time.Duration, conns int) *Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	return &Client{
		http: &http.Client{
			Transport: &http.Transport{
				DialContext:         dialer.DialContext,
				TLSHandshakeTimeout: 5 * time.Second,
				MaxIdleConnsPerHost: conns,
				IdleConnTimeout:     90 * time.Second,
				DisableCompression:  true,
				WriteBufferSize:     64 << 10,
				ReadBufferSize:      4 << 10,
				Proxy:               http.ProxyFromEnvironment,
			},
			// A redirect of a post would lose its body's meaning.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		timeout: post, ask: ask,
	}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Refused is an answer that will be the same for the same bytes.
type Refused struct {
	Status int
	Reason string
	// OfType says that it is not these bytes: the collector takes nothing of
	// their data type for now, and all of others.
	OfType bool
}

func (r *Refused) Error() string {
	return fmt.Sprintf("refused with status %d: %s", r.Status, r.Reason)
}

// Post sends one frame. A *Refused error is permanent; after any other the
// batch may or may not have been taken, and is sent again.
func (c *Client) Post(ctx context.Context, collector string, frame []byte) (wire.Receipt, error) {
	var r wire.Receipt
	err := c.post(ctx, c.timeout, collector+wire.BatchesPath, wire.BatchContentType, frame, wire.MaxReceiptBody, &r)
	if err != nil {
		return r, fmt.Errorf("post batch to %s: %w", collector, err)
	}
	if r.Segment == "" || len(r.Segment) > 256 || r.Block < 0 || r.State != wire.Spooled && r.State != wire.Settled {
		return r, fmt.Errorf("post batch to %s: its receipt makes no sense: %+v", collector, r)
	}
	return r, nil
}

// States asks what became of batches.
func (c *Client) States(ctx context.Context, collector string, queries []wire.Query) ([]wire.State, error) {
	body, err := json.Marshal(wire.ReceiptsRequest{Receipts: queries})
	if err != nil {
		return nil, fmt.Errorf("encode receipts: %w", err)
	}
	var out wire.ReceiptsResponse
	if err := c.post(ctx, c.ask, collector+wire.ReceiptsPath, "application/json", body, wire.MaxReceiptsBody, &out); err != nil {
		return nil, fmt.Errorf("ask %s for receipts: %w", collector, err)
	}
	return out.States, nil
}

func (c *Client) post(ctx context.Context, timeout time.Duration, url, contentType string, body []byte, maxAnswer int64, into any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal(answer, into); err != nil {
			return fmt.Errorf("decode answer: %w", err)
		}
		return nil
	}
	return statusError(resp.StatusCode, answer)
}

// statusError decides, once and for all callers, what is permanent.
func statusError(status int, answer []byte) error {
	var e wire.Error
	if json.Unmarshal(answer, &e) != nil || e.Error == "" {
		e = wire.Error{Error: fmt.Sprintf("%.200q", answer)}
	}
	passing := status == http.StatusRequestTimeout || status == http.StatusTooEarly || status == http.StatusTooManyRequests
	if status >= 400 && status < 500 && !passing || e.Permanent {
		return &Refused{Status: status, Reason: e.Error, OfType: e.Reason == wire.TooManyTypes}
	}
	return fmt.Errorf("status %d: %s", status, e.Error)
}

// IsRefused returns the refusal in an error's chain.
func IsRefused(err error) (*Refused, bool) {
	var r *Refused
	return r, errors.As(err, &r)
}
