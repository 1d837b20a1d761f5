package yarn

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strconv"

	"github.com/akupara/akupara/store"
)

// Work in a store:
//
//	work/bin/SHA256                        the program that does tasks
//	work/TYPE/NAME/tasks                   a line a task: its number, a tab, its value
//	work/TYPE/NAME/job.json                what all of them need
//	work/TYPE/NAME/results/N/result.json   the first attempt's to finish task N
//	work/TYPE/NAME/results/tmp-…           of one that is about to say that it has
//
// Results are claimed as versions of tables are: a folder can't be renamed onto
// one that is not empty.
const top = "work"

func dirOf(dataType, name string) string { return path.Join(top, dataType, name) }

const (
	tasksFile  = "tasks"
	jobFile    = "job.json"
	resultsDir = "results"
	resultFile = "result.json"
	tempPrefix = "tmp-"
)

func resultPath(dir string, n int) string {
	return path.Join(dir, resultsDir, strconv.Itoa(n), resultFile)
}

// job is what an attempt knows beside its task.
type job struct {
	Store  string          `json:"store"` // its URI
	Dir    string          `json:"dir"`
	Kind   string          `json:"kind"`
	Shared json.RawMessage `json:"shared"`
}

// maxResult bounds a result, in bytes.
const maxResult = 256 << 20

func readFile(ctx context.Context, st store.FS, p string, limit int64) ([]byte, error) {
	r, err := st.Open(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", p, err)
	}
	defer r.Close()
	if r.Size() > limit {
		return nil, fmt.Errorf("read %s: it has %d bytes, at most %d are allowed", p, r.Size(), limit)
	}
	data := make([]byte, r.Size())
	if n, err := r.ReadAt(data, 0); n < len(data) {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	return data, nil
}
