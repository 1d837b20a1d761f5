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
)

type tableInfo struct {
	Name    string       `json:"name"`
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
	err := s.eachTable(ctx, func(name string, t *table.Table) error {
		files, err := t.Files(ctx, nil, nil)
		if err != nil {
			return err
		}
		info := tableInfo{Name: name, Files: len(files)}
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
		for _, col := range t.Columns() {
			info.Columns = append(info.Columns, columnInfo{col.Name, col.Type.String(), col.Doc})
		}
		out = append(out, info)
		return nil
	})
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"tables": out})
}

// eachTable calls fn with every table of the store.
func (s *Server) eachTable(ctx context.Context, fn func(name string, t *table.Table) error) error {
	names, err := table.List(ctx, s.deps.FS)
	if err != nil {
		return err
	}
	for _, name := range names {
		t, err := table.Open(ctx, s.deps.FS, s.deps.BaseURI, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = fn(name, t)
		}
		if err != nil {
			return err
		}
	}
	return nil
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
	if s.demux != nil && s.demux.pass(c, "/v1/runs", upstreamWait) == nil {
		return
	}
	out := []run{}
	err := s.eachTable(c.Request.Context(), func(name string, t *table.Table) error {
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
