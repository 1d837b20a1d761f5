package audit_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/audit"
	"github.com/akupara/akupara/demux/compact"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query"
	"github.com/akupara/akupara/query/querytest"
	"github.com/akupara/akupara/store"
)

// meanwhile does something when the first data file is opened.
type meanwhile struct {
	store.FS
	once sync.Once
	do   func()
}

func (m *meanwhile) Open(ctx context.Context, p string) (store.Reader, error) {
	if strings.HasSuffix(p, ".parquet") {
		m.once.Do(m.do)
	}
	return m.FS.Open(ctx, p)
}

// What is merged, and removed, while an audit goes on is no damage.
func TestATableMayBeMergedMeanwhile(t *testing.T) {
	for _, deep := range []bool{false, true} {
		for _, swept := range []bool{false, true} {
			s := querytest.New(t)
			for i := range int64(6) {
				s.Commit(t, "raw", data("a", i*30, 3))
			}
			fs := &meanwhile{FS: s.FS, do: func() {
				rep, err := compact.Run(t.Context(), compact.Options{FS: s.FS, BaseURI: s.URI, Type: "app", Now: func() time.Time { return querytest.Start.Add(48 * time.Hour) }})
				if err != nil || rep.FilesIn != 6 {
					t.Errorf("merged: %+v, %v", rep, err)
				}
				if !swept {
					return
				}
				tab, err := table.Open(t.Context(), s.FS, s.URI, "app")
				if err != nil {
					t.Fatal(err)
				}
				old, err := tab.Files(t.Context(), nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				dirs, _ := s.FS.List(t.Context(), "tables/app/data")
				for _, d := range dirs {
					files, _ := s.FS.List(t.Context(), d.Path)
					for _, f := range files {
						if f.Path != old[0].Path {
							_ = s.FS.Remove(t.Context(), f.Path)
						}
					}
				}
			}}
			e, err := query.Open(fs, s.URI, query.Options{CacheDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			r, err := audit.Run(t.Context(), fs, s.URI, e, audit.Options{Deep: deep})
			if err != nil {
				t.Fatal(err)
			}
			if !r.OK() {
				t.Errorf("deep=%v swept=%v: damaged %+v, hidden %v, overlaps %v", deep, swept, r.Damaged, r.Hidden, r.Overlaps)
			}
			_ = e.Close()
		}
	}
}
