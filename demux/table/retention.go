package table

import (
	"cmp"
	"slices"
	"time"

	iceberg "github.com/apache/iceberg-go"
	ice "github.com/apache/iceberg-go/table"
)

const (
	// keepSnapshots is how many are kept, and as many old metadata files;
	// expireBatch is how many more snapshots there may be before some are
	// expired: each time costs reading their lists.
	keepSnapshots = 40
	expireBatch   = 10
	// maxKept bounds the snapshots that are kept for those who read files that have
	// been replaced, until a sweep expires them.
	maxKept = 3 * keepSnapshots
	// maxSchemas bounds the bytes of schemas in a metadata file: where columns are
	// many and come in many commits, fewer snapshots are kept.
	maxSchemas = 128 << 10
)

// retain takes old snapshots out of the version that is being made, which meta is so
// far, and schemas that none of the others needs.
func (a *attempt) retain(meta ice.Metadata) {
	all := bySequence(meta)
	cut := 0
	if len(all) > a.base.keep+expireBatch {
		cut = outdated(all, a.base.keep)
	}
	cut = max(cut, beyondSchemas(meta, all))
	if cut > 0 {
		a.update(ice.NewRemoveSnapshotsUpdate(idsOf(all[:cut]), false))
	}
	if old := unneededSchemas(meta, all[cut:]); len(old) > 0 {
		a.update(ice.NewRemoveSchemasUpdate(old))
	}
}

// outdated returns how many of the snapshots, the oldest first, need not be kept.
// Those that name files which were replaced are left to the sweep, which knows for
// how long readers need them.
func outdated(all []ice.Snapshot, keep int) int {
	cut := len(all) - keep
	for i := 1; i < len(all); i++ {
		if isReplacement(&all[i]) {
			cut = min(cut, i-1) // the one before has all the files that were replaced since
			break
		}
	}
	return max(cut, len(all)-maxKept, 0)
}

// superseded returns the snapshots before the newest replacement that is older
// than the grace: they keep files that the table does not need.
func superseded(meta ice.Metadata, now time.Time, grace time.Duration) []int64 {
	all := bySequence(meta)
	cut := 0
	for i := range all {
		if isReplacement(&all[i]) && now.Sub(time.UnixMilli(all[i].TimestampMs)) > grace {
			cut = i
		}
	}
	return idsOf(all[:cut])
}

// beyondSchemas returns how many of the snapshots have to go for the schemas of
// the others to fit maxSchemas. The newest stays.
func beyondSchemas(meta ice.Metadata, all []ice.Snapshot) int {
	if len(meta.Schemas()) == 1 {
		return 0
	}
	sizes := map[int]int{}
	for _, sc := range meta.Schemas() {
		sizes[sc.ID] = schemaSize(sc)
	}
	total := 0
	for i := len(all) - 1; i >= 0; i-- {
		if id := all[i].SchemaID; id != nil {
			total += sizes[*id]
			sizes[*id] = 0
		}
		if total > maxSchemas && i < len(all)-1 {
			return i + 1
		}
	}
	return 0
}

// schemaSize is about how many bytes the metadata has for a schema.
func schemaSize(sc *iceberg.Schema) int {
	const field = 64 // beside its texts
	n := field
	for _, f := range sc.Fields() {
		n += field + len(f.Name) + len(f.Doc)
	}
	return n
}

// unneededSchemas returns the ids of schemas that are neither the current one nor
// a snapshot's.
func unneededSchemas(meta ice.Metadata, kept []ice.Snapshot) []int {
	needed := map[int]bool{meta.CurrentSchema().ID: true}
	for i := range kept {
		if id := kept[i].SchemaID; id != nil {
			needed[*id] = true
		}
	}
	var out []int
	for _, sc := range meta.Schemas() {
		if !needed[sc.ID] {
			out = append(out, sc.ID)
		}
	}
	return out
}

// bySequence returns the snapshots, the oldest first.
func bySequence(meta ice.Metadata) []ice.Snapshot {
	all := slices.Clone(meta.Snapshots())
	slices.SortFunc(all, func(a, b ice.Snapshot) int { return cmp.Compare(a.SequenceNumber, b.SequenceNumber) })
	return all
}

func isReplacement(s *ice.Snapshot) bool {
	return s.Summary != nil && s.Summary.Properties[propReplaced] != ""
}

func idsOf(all []ice.Snapshot) []int64 {
	out := make([]int64, len(all))
	for i := range all {
		out[i] = all[i].SnapshotID
	}
	return out
}
