package table

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	ice "github.com/apache/iceberg-go/table"
)

// Commit times only rise: readers, and iceberg-go's own checks, rely on it. A
// commit by a clock that was ahead must not keep the ones after it from
// succeeding, so their times go on from the last one's.

// lastCommit is the latest time that the metadata has, in milliseconds.
func lastCommit(meta ice.Metadata) int64 {
	last := meta.LastUpdatedMillis()
	for e := range meta.SnapshotLogs() {
		last = max(last, e.TimestampMs)
	}
	for e := range meta.PreviousFiles() {
		last = max(last, e.TimestampMs)
	}
	return last
}

// Ahead returns by how much the table's last commit is ahead of this machine's
// clock; 0 where that is a minute or less. One of the two clocks is wrong.
func (t *Table) Ahead() time.Duration {
	if t.meta == nil {
		return 0
	}
	d := time.Until(time.UnixMilli(lastCommit(t.meta)))
	if d <= time.Minute {
		return 0
	}
	return d.Round(time.Second)
}

// shiftFor returns how many milliseconds all times of meta have to be moved
// back so that a commit made now is later than each of them.
func shiftFor(meta ice.Metadata) int64 {
	return max(0, lastCommit(meta)+1-time.Now().UnixMilli())
}

// now is the time of a commit, as base's moved times have it.
func (a *attempt) now() int64 { return time.Now().UnixMilli() }

// shifted returns meta with all its times moved by ms.
func shifted(meta ice.Metadata, ms int64) (ice.Metadata, error) {
	if ms == 0 {
		return meta, nil
	}
	b, err := encode(meta)
	if err != nil {
		return nil, err
	}
	if b, err = shiftTimes(b, ms); err != nil {
		return nil, err
	}
	meta, err = ice.ParseMetadataBytes(b)
	if err != nil {
		return nil, fmt.Errorf("move times of the metadata: %w", err)
	}
	return meta, nil
}

// shiftTimes moves all times in a metadata file's bytes by ms.
func shiftTimes(b []byte, ms int64) ([]byte, error) {
	if ms == 0 {
		return b, nil
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("move times of the metadata: %w", err)
	}
	if err := shiftTime(doc, "last-updated-ms", ms); err != nil {
		return nil, err
	}
	for _, list := range []string{"snapshots", "snapshot-log", "metadata-log"} {
		if doc[list] == nil {
			continue
		}
		var items []map[string]json.RawMessage
		if err := json.Unmarshal(doc[list], &items); err != nil {
			return nil, fmt.Errorf("move times of %s: %w", list, err)
		}
		for _, item := range items {
			if err := shiftTime(item, "timestamp-ms", ms); err != nil {
				return nil, err
			}
		}
		var err error
		if doc[list], err = json.Marshal(items); err != nil {
			return nil, fmt.Errorf("move times of %s: %w", list, err)
		}
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("move times of the metadata: %w", err)
	}
	return b, nil
}

func shiftTime(item map[string]json.RawMessage, key string, ms int64) error {
	n, err := strconv.ParseInt(string(item[key]), 10, 64)
	if err != nil {
		return fmt.Errorf("move times of the metadata: %s: %w", key, err)
	}
	item[key] = strconv.AppendInt(nil, n+ms, 10)
	return nil
}
