package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/akupara/akupara/audit"
	"github.com/akupara/akupara/daemon/rest"
	"github.com/akupara/akupara/query"
)

// maxQueryBody bounds a POST's body: the engine's own bound on a statement,
// and room for JSON's escapes.
const maxQueryBody = 2 << 20

// formats are what a query can answer, the default first.
var formats = []struct{ mime, header, format string }{
	{"application/json", "application/json; charset=utf-8", "json"},
	{"application/x-ndjson", "application/x-ndjson; charset=utf-8", "jsonl"},
	{"text/csv", "text/csv; charset=utf-8; header=present", "csv"},
	{"application/vnd.apache.parquet", "application/vnd.apache.parquet", "parquet"},
}

func (s *Server) query(c *gin.Context) {
	header, format, ok := accepted(c.Request.Header.Values("Accept"))
	if !ok {
		rest.Refuse(c, http.StatusNotAcceptable, "Accept: a query answers application/json, application/x-ndjson, text/csv and application/vnd.apache.parquet")
		return
	}
	sql, status, err := statement(c)
	if err != nil {
		rest.Refuse(c, status, "%v", err)
		return
	}
	if !s.take(c) {
		return
	}
	defer s.give()
	out := &lateHeader{c: c, contentType: header}
	sum, err := s.deps.Engine.Query(c.Request.Context(), sql, format, out)
	if err == nil {
		s.metrics.queries.WithLabelValues("ok").Inc()
		s.metrics.seconds.Observe(sum.Elapsed.Seconds())
		s.metrics.rows.Add(float64(sum.Rows))
		s.metrics.fetched.Add(float64(sum.Fetched))
		return
	}
	s.fail(c, err)
}

// take takes one of the places for queries, or answers that there is none.
func (s *Server) take(c *gin.Context) bool {
	most := s.live.Load().queries
	if s.busy.Add(1) <= int64(most) {
		return true
	}
	s.give()
	s.metrics.queries.WithLabelValues("busy").Inc()
	c.Header("Retry-After", "1")
	rest.Refuse(c, http.StatusTooManyRequests, "%d queries are running, which is the most that web.queries allows; try again", most)
	return false
}

func (s *Server) give() { s.busy.Add(-1) }

// fail answers a query that failed; where part of the result is sent already,
// it breaks the connection.
func (s *Server) fail(c *gin.Context, err error) {
	var theirs *query.Error
	status, outcome := http.StatusInternalServerError, "failed"
	switch {
	case errors.As(err, &theirs):
		status, outcome = http.StatusBadRequest, "refused"
	case c.Request.Context().Err() != nil:
		outcome = "refused" // the client has gone
	case errors.Is(err, context.DeadlineExceeded):
		status, outcome = http.StatusGatewayTimeout, "refused"
	default:
		s.deps.Log.Error("a query failed", "error", err)
	}
	s.metrics.queries.WithLabelValues(outcome).Inc()
	if !c.Writer.Written() {
		c.Header("Content-Type", "application/json; charset=utf-8")
		rest.Refuse(c, status, "%v", err)
		return
	}
	breakOff(c)
}

// breakOff ends the connection so that the client sees that the answer is not
// whole.
func breakOff(c *gin.Context) {
	var w http.ResponseWriter = c.Writer
	if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		w = u.Unwrap() // gin refuses to hijack once something is written
	}
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		conn.Close()
	}
	c.Abort()
}

// lateHeader sends the header with the first bytes of the result, so that a
// statement that fails at once gets a status of its own.
type lateHeader struct {
	c           *gin.Context
	contentType string
}

func (l *lateHeader) Write(p []byte) (int, error) {
	if !l.c.Writer.Written() {
		l.c.Header("Content-Type", l.contentType)
		l.c.Header("X-Content-Type-Options", "nosniff")
		l.c.Header("Cache-Control", "no-store")
	}
	return l.c.Writer.Write(p)
}

// statement reads the SQL of a request.
func statement(c *gin.Context) (sql string, status int, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxQueryBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return "", http.StatusRequestEntityTooLarge, errors.New("the body has more than " + strconv.Itoa(maxQueryBody) + " bytes")
	} else if err != nil {
		return "", http.StatusBadRequest, err
	}
	kind, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err == nil && kind == "application/json" {
		var req struct {
			SQL string `json:"sql"`
		}
		dec := json.NewDecoder(strings.NewReader(string(body)))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&req); err != nil {
			return "", http.StatusBadRequest, errors.New(`the body is not {"sql": "…"}: ` + err.Error())
		}
		return req.SQL, 0, nil
	}
	return string(body), 0, nil
}

// accepted returns the format that the client wants most.
func accepted(accept []string) (header, format string, ok bool) {
	best := 0.0
	given := false
	for _, part := range strings.Split(strings.Join(accept, ","), ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		given = true
		kind, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if v, err := strconv.ParseFloat(params["q"], 64); err == nil {
			q = v
		}
		for _, f := range formats {
			if q > best && matches(kind, f.mime) {
				best, header, format = q, f.header, f.format
				break
			}
		}
	}
	if !given {
		return formats[0].header, formats[0].format, true
	}
	return header, format, format != ""
}

func matches(pattern, kind string) bool {
	if pattern == "*/*" || pattern == kind {
		return true
	}
	group, ok := strings.CutSuffix(pattern, "/*")
	return ok && strings.HasPrefix(kind, group+"/")
}

func (s *Server) audit(c *gin.Context) {
	if !s.take(c) {
		return
	}
	defer s.give()
	report, err := audit.Run(c.Request.Context(), s.deps.FS, s.deps.BaseURI, s.deps.Engine, audit.Options{CacheDir: s.deps.CacheDir})
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, report)
}
