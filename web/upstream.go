package web

import (
	"context"
	"errors"
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

	"github.com/akupara/akupara/daemon"
)

// upstream is another daemon's REST API that requests are passed on to.
type upstream struct {
	name   string // for messages: "the demux"
	base   string // URL without a path
	client *http.Client
}

const (
	maxPassedBody  = 1 << 20  // bytes of a request's body
	maxPassedReply = 64 << 20 // bytes of a reply
	upstreamWait   = 30 * time.Second
	probeWait      = 2 * time.Second
)

func newUpstream(name, base string) *upstream {
	return &upstream{name, strings.TrimSuffix(base, "/"), newClient(nil)}
}

func newUnixUpstream(name, socket string) *upstream {
	return &upstream{name, "http://localhost", newClient(func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: probeWait}).DialContext(ctx, "unix", socket)
	})}
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

// errAway says that the daemon was not reached and nothing was answered yet.
var errAway = errors.New("it can't be reached")

// pass hands the request on to path, which is escaped, and its answer back.
// After an errAway the request is still to be answered.
func (u *upstream) pass(c *gin.Context, path string) error {
	ctx, cancel := context.WithTimeout(c.Request.Context(), upstreamWait)
	defer cancel()
	target := u.base + path
	if q := c.Request.URL.RawQuery; q != "" {
		target += "?" + q
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxPassedBody))
	if err != nil {
		daemon.Refuse(c, http.StatusRequestEntityTooLarge, "the body has more than %d bytes", maxPassedBody)
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, c.Request.Method, target, strings.NewReader(string(body)))
	if err != nil {
		return fmt.Errorf("%w: %w", errAway, err)
	}
	for _, h := range []string{"Content-Type", "Accept"} {
		if v := c.GetHeader(h); v != "" {
			req.Header.Set(h, v)
		}
	}
	resp, err := u.client.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", errAway, err)
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
func (u *upstream) must(c *gin.Context, path string) {
	if err := u.pass(c, path); err != nil {
		daemon.Refuse(c, http.StatusServiceUnavailable, "%s: %v", u.name, err)
	}
}

func (s *Server) startRun(c *gin.Context) { s.toDemux(c, "/v1/runs") }

func (s *Server) schedules(c *gin.Context) { s.toDemux(c, "/v1/schedules") }

func (s *Server) toDemux(c *gin.Context, path string) {
	if s.demux == nil {
		daemon.Refuse(c, http.StatusServiceUnavailable, "no demux is known: set demux.listen, and web.demux to the same address")
		return
	}
	s.demux.must(c, path)
}

// passToAgent hands on what is under an agent's own /v1/adaptors.
func (s *Server) passToAgent(c *gin.Context) {
	u := s.agents[c.Param("host")]
	if u == nil {
		daemon.Refuse(c, http.StatusNotFound, "no agent of host %q is configured in web.agents", c.Param("host"))
		return
	}
	rest := c.Param("rest")
	if rest != "/adaptors" && !strings.HasPrefix(rest, "/adaptors/") || hasDots(rest) {
		daemon.Refuse(c, http.StatusNotFound, "of an agent, only /v1/agents/%s/adaptors is passed on", c.Param("host"))
		return
	}
	u.must(c, "/v1"+rest)
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
	out := make([]agentInfo, len(s.cfg.Agents))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 32)
	for i, a := range s.cfg.Agents {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			out[i] = agentInfo{Host: a.Host, URL: a.URL.String()}
			if err := s.agents[a.Host].probe(c.Request.Context()); err != nil {
				out[i].Error = err.Error()
			} else {
				out[i].Alive = true
			}
		})
	}
	wg.Wait()
	c.JSON(http.StatusOK, gin.H{"agents": out})
}

func (u *upstream) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.base+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := u.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}
