package web

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query"
)

type tableInfo struct {
	Name    string       `json:"name"`
	State   string       `json:"state"` // "ok", or what is wrong with it, in words
	Rows    int64        `json:"rows"`
	Files   int          `json:"files"`
	Bytes   int64        `json:"bytes"` // of the data files
	MinTS   *time.Time   `json:"min_ts"`
	MaxTS   *time.Time   `json:"max_ts"`
	Columns []columnInfo `json:"columns"`
}

type columnInfo struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Doc  string `json:"doc,omitempty"`
}

func (s *Server) tables(c *gin.Context) {
	ctx := c.Request.Context()
	out := []tableInfo{}
	err := s.eachTable(ctx, func(name string, t *table.Table, broken error) error {
		info := tableInfo{Name: name, Columns: []columnInfo{}}
		var err error
		if info.State, err = query.StateOf(ctx, s.deps.FS, s.deps.BaseURI, name); err != nil {
			return err
		}
		if broken == nil {
			broken = info.describe(ctx, t)
		}
		if broken != nil && info.State == query.Fine {
			info.State = broken.Error()
		}
		out = append(out, info)
		return ctx.Err()
	})
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"tables": out})
}

// describe takes in what the table's metadata say.
func (info *tableInfo) describe(ctx context.Context, t *table.Table) error {
	for _, col := range t.Columns() {
		info.Columns = append(info.Columns, columnInfo{col.Name, col.Type.String(), col.Doc})
	}
	files, err := t.Files(ctx, nil, nil)
	if err != nil {
		return err
	}
	info.Files = len(files)
	for _, f := range files {
		info.Rows += f.Records
		info.Bytes += f.Size
		if f.Records == 0 {
			continue
		}
		if lo := f.MinTS.UTC(); info.MinTS == nil || lo.Before(*info.MinTS) {
			info.MinTS = &lo
		}
		if hi := f.MaxTS.UTC(); info.MaxTS == nil || hi.After(*info.MaxTS) {
			info.MaxTS = &hi
		}
	}
	return nil
}

// eachTable calls fn with every table of the store, and with the error of one that
// can't be opened: it hides no other.
func (s *Server) eachTable(ctx context.Context, fn func(name string, t *table.Table, err error) error) error {
	names, err := table.List(ctx, s.deps.FS)
	if err != nil {
		return err
	}
	for _, name := range names {
		t, err := table.Open(ctx, s.deps.FS, s.deps.BaseURI, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := fn(name, t, err); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// run is a run as a table remembers it; its keys are those of the demux's own
// reports, as far as they go.
type run struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Started   time.Time `json:"started"` // when it was committed
	Records   int64     `json:"records"`
	Files     int64     `json:"files"`
	FileBytes int64     `json:"file_bytes"`
}

// maxRuns bounds the runs that are listed from the tables.
const maxRuns = 100

// runs asks the demux, which knows of failures and durations too; where there
// is none, or it does not answer, the tables tell what was committed.
func (s *Server) runs(c *gin.Context) {
	if demux := s.live.Load().demux; demux != nil && demux.pass(c, "/v1/runs", upstreamWait) == nil {
		return
	}
	out := []run{}
	err := s.eachTable(c.Request.Context(), func(name string, t *table.Table, err error) error {
		if err != nil {
			return nil //nolint:nilerr // the list of tables says what is wrong
		}
		for _, r := range t.Runs() {
			out = append(out, run{r.ID, name, r.Time.UTC(), r.Records, r.Files, r.Bytes})
		}
		return nil
	})
	if err != nil {
		s.fail(c, err)
		return
	}
	slices.SortStableFunc(out, func(a, b run) int { return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.Type, b.Type)) })
	c.JSON(http.StatusOK, gin.H{"runs": out[:min(len(out), maxRuns)]})
}
