package demux

import "time"

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
	Isolated    int           `json:"isolated"` // chunks that made runs fail, and were left out
	Aside       int           `json:"aside"`    // sink files that can't be read for now
	Failing     int           `json:"failing"`  // runs that failed since the last one that did not
	Error       string        `json:"error,omitempty"`
}
