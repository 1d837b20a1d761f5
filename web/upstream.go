package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/akupara/akupara/agentd/client"
	"github.com/akupara/akupara/daemon/rest"
)

// upstream is another daemon's REST API that requests are passed on to.
type upstream struct {
	name string // for messages: "the demux"
	api  sender
}

// sender makes one request of an escaped path with its query. The error means
// that no reply came; the caller closes a reply's body.
type sender interface {
	Send(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error)
}

const (
	maxPassedBody  = 1 << 20  // bytes of a request's body
	maxPassedReply = 64 << 20 // bytes of a reply
	upstreamWait   = 30 * time.Second
	drainWait      = 11 * time.Minute // an agent's drain takes ten at most
	probeWait      = 2 * time.Second
)

// neighbour is a daemon beside this one: the demux.
type neighbour struct {
	base   string // URL without a path
	client *http.Client
	token  string // the file of the one that it asks for; empty: it asks for none
}

func newNeighbour(base, token string) *neighbour {
	return &neighbour{strings.TrimSuffix(base, "/"), newClient(nil), token}
}

func newUnixNeighbour(socket, token string) *neighbour {
	return &neighbour{"http://localhost", newClient(func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: probeWait}).DialContext(ctx, "unix", socket)
	}), token}
}

// newClient makes a client that follows no redirects and uses no proxy: it
// talks to the configured daemons and to nobody else.
func newClient(dial func(ctx context.Context, network, addr string) (net.Conn, error)) *http.Client {
	if dial == nil {
		dial = (&net.Dialer{Timeout: probeWait}).DialContext
	}
	return &http.Client{
		Transport:     &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: upstreamWait},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Send implements sender.
func (n *neighbour) Send(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, n.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header = header
	if n.token != "" {
		if err := client.SetToken(req, n.token); err != nil {
			return nil, err
		}
	}
	resp, err := n.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("it can't be reached: %w", err)
	}
	return resp, nil
}

// pass hands the request on to path, which is escaped, and its answer back,
// for which it waits so long at most. After an error the daemon was not reached
// and the request is still to be answered.
func (u *upstream) pass(c *gin.Context, path string, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(c.Request.Context(), wait)
	defer cancel()
	if q := c.Request.URL.RawQuery; q != "" {
		path += "?" + q
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxPassedBody))
	if err != nil {
		rest.Refuse(c, http.StatusRequestEntityTooLarge, "the body has more than %d bytes", maxPassedBody)
		return nil
	}
	header := http.Header{}
	for _, h := range []string{"Content-Type", "Accept"} {
		if v := c.GetHeader(h); v != "" {
			header.Set(h, v)
		}
	}
	resp, err := u.api.Send(ctx, c.Request.Method, path, header, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	c.Header("Content-Type", resp.Header.Get("Content-Type"))
	c.Header("X-Content-Type-Options", "nosniff")
	c.Status(resp.StatusCode)
	n, err := io.Copy(c.Writer, io.LimitReader(resp.Body, maxPassedReply+1))
	c.Writer.WriteHeaderNow()
	if err != nil || n > maxPassedReply {
		breakOff(c)
	}
	return nil
}

// must is pass, answering 503 where the daemon is away.
func (u *upstream) must(c *gin.Context, path string, wait time.Duration) {
	if err := u.pass(c, path, wait); err != nil {
		rest.Refuse(c, http.StatusServiceUnavailable, "%s: %v", u.name, err)
	}
}

func (s *Server) startRun(c *gin.Context) { s.toDemux(c, "/v1/runs") }

func (s *Server) schedules(c *gin.Context) { s.toDemux(c, "/v1/schedules") }

func (s *Server) toJob(c *gin.Context) {
	name := c.Param("name") // as it came, escaped
	if hasDots(name) {
		rest.Refuse(c, http.StatusNotFound, "there is no such job")
		return
	}
	s.toDemux(c, "/v1/jobs/"+name)
}

func (s *Server) toColumns(c *gin.Context) {
	name := c.Param("type")
	if hasDots(name) {
		rest.Refuse(c, http.StatusNotFound, "there is no such table")
		return
	}
	s.toDemux(c, "/v1/tables/"+name+"/columns")
}

func (s *Server) toDemux(c *gin.Context, path string) {
	demux := s.live.Load().demux
	if demux == nil {
		rest.Refuse(c, http.StatusServiceUnavailable, "no demux is known: set demux.listen, and web.demux to the same address")
		return
	}
	demux.must(c, path, upstreamWait)
}

// passToAgent hands on what is under an agent's own /v1, and nothing beside it.
func (s *Server) passToAgent(c *gin.Context) {
	agent := s.live.Load().agents[c.Param("host")]
	if agent == nil {
		rest.Refuse(c, http.StatusNotFound, "no agent of host %q is configured in web.agents", c.Param("host"))
		return
	}
	under := c.Param("rest")
	if under == "/" || hasDots(under) {
		rest.Refuse(c, http.StatusNotFound, "of an agent, what is under its /v1 is passed on: /v1/agents/%s/adaptors, say", c.Param("host"))
		return
	}
	wait := upstreamWait
	if under == "/drain" {
		wait = drainWait
	}
	u := upstream{"the agent of " + c.Param("host"), agent}
	u.must(c, under, wait)
}

// hasDots reports whether an escaped path may lead out of where it starts.
func hasDots(escaped string) bool {
	p, err := url.PathUnescape(escaped)
	return err != nil || slices.ContainsFunc(strings.FieldsFunc(p, func(r rune) bool { return r == '/' || r == '\\' }),
		func(segment string) bool { return segment == "." || segment == ".." })
}

type agentInfo struct {
	Host  string `json:"host"`
	URL   string `json:"url"`
	Alive bool   `json:"alive"`
	Error string `json:"error,omitempty"`
}

// listAgents asks every configured agent whether it is there.
func (s *Server) listAgents(c *gin.Context) {
	l := s.live.Load()
	out := make([]agentInfo, len(l.known))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 32)
	for i, a := range l.known {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			out[i] = agentInfo{Host: a.Host, URL: string(a.URL)}
			if err := probe(c.Request.Context(), l.agents[a.Host]); err != nil {
				out[i].Error = err.Error()
			} else {
				out[i].Alive = true
			}
		})
	}
	wg.Wait()
	c.JSON(http.StatusOK, gin.H{"agents": out})
}

// probe asks an agent whether it is there.
func probe(ctx context.Context, agent *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	return agent.Healthy(ctx)
}
