package demux

import (
	"time"

	"github.com/akupara/akupara/store"
)

// Report says what the runs of one call did with one data type.
type Report struct {
	ID          string        `json:"id"` // of the last run that committed
	Type        string        `json:"type"`
	Started     time.Time     `json:"started"`
	Took        time.Duration `json:"took_ns"`
	Commits     int           `json:"commits"`
	Version     int           `json:"version"` // of the table, afterwards
	Sinks       int           `json:"sinks"`   // sink files looked at
	Archived    int           `json:"archived"`
	Quarantined int           `json:"quarantined"` // sink files that could not be used whole
	Records     int64         `json:"records"`
	ParseErrors int64         `json:"parse_errors"`
	Bytes       int64         `json:"bytes"`        // of raw log that became rows
	Repeated    int64         `json:"repeated"`     // bytes that came again and were dropped
	Forks       int           `json:"forks"`        // forks of streams that began
	ForkedBytes int64         `json:"forked_bytes"` // of Bytes, of forks
	Files       int           `json:"files"`        // data files added
	FileBytes   int64         `json:"file_bytes"`
	Isolated    int           `json:"isolated"`          // chunks that made runs fail, and were left out
	Aside       int           `json:"aside"`             // sink files that can't be read for now
	Failing     int           `json:"failing"`           // runs that failed since the last one that did not
	Waiting     *Waiting      `json:"waiting,omitempty"` // in raw/, once it failed
	Error       string        `json:"error,omitempty"`
}

// Waiting is what of a data type is not in its table.
type Waiting struct {
	Files  int       `json:"sink_files"`
	Bytes  int64     `json:"bytes"`           // of these files
	Oldest time.Time `json:"oldest,omitzero"` // when the oldest of them was written
}

func waiting(sinks []store.Info) *Waiting {
	w := &Waiting{Files: len(sinks)}
	for _, f := range sinks {
		w.Bytes += f.Size
		if w.Oldest.IsZero() || f.Mod.Before(w.Oldest) {
			w.Oldest = f.Mod.UTC()
		}
	}
	return w
}
