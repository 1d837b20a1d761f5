package table

import (
	"encoding/json"
	"fmt"

	iceberg "github.com/apache/iceberg-go"
	ice "github.com/apache/iceberg-go/table"
	"github.com/google/uuid"

	"github.com/akupara/akupara/demux/schema"
)

// create returns the metadata of a new table with exactly these columns.
func (t *Table) create(cols []schema.Column) (ice.Metadata, error) {
	ts := schema.Find(cols, schema.TS)
	if ts < 0 {
		return nil, fmt.Errorf("make metadata: there is no column %s", schema.TS)
	}
	spec := iceberg.NewPartitionSpec(iceberg.PartitionField{
		SourceIDs: []int{cols[ts].ID}, FieldID: hourField, Name: schema.HourPartition, Transform: iceberg.HourTransform{},
	})
	order, err := ice.NewSortOrder(sortByTS, []ice.SortField{{
		SourceIDs: []int{cols[ts].ID}, Transform: iceberg.IdentityTransform{},
		Direction: ice.SortASC, NullOrder: ice.NullsFirst,
	}})
	if err != nil {
		return nil, fmt.Errorf("make sort order: %w", err)
	}
	b, err := ice.NewMetadataBuilder(2)
	if err != nil {
		return nil, fmt.Errorf("make metadata: %w", err)
	}
	const last = -1 // the one added last
	for _, step := range []func() error{
		func() error { return b.SetUUID(uuid.New()) },
		func() error { return b.SetLoc(t.Location()) },
		func() error { return b.AddSchema(icebergSchema(0, cols)) },
		func() error { return b.SetCurrentSchemaID(last) },
		func() error { return b.AddSortOrder(&order) },
		func() error { return b.SetDefaultSortOrderID(last) },
		func() error { return b.AddPartitionSpec(&spec, true) },
		func() error { return b.SetDefaultSpecID(last) },
		func() error {
			return b.SetProperties(iceberg.Properties{
				ice.ManifestMergeEnabledKey:             "true",
				ice.ManifestMinMergeCountKey:            "30",
				ice.MetadataDeleteAfterCommitEnabledKey: "true",
				ice.MetadataPreviousVersionsMaxKey:      fmt.Sprint(t.keep),
				ice.MinSnapshotsToKeepKey:               fmt.Sprint(t.keep),
				ice.WriteFormatDefaultKey:               "parquet",
				ice.ParquetCompressionKey:               "zstd",
			})
		},
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("make metadata: %w", err)
		}
	}
	meta, err := b.Build()
	if err != nil {
		return nil, fmt.Errorf("make metadata: %w", err)
	}
	return meta, nil
}

const sortByTS = 1 // sort order ids; 0 is unsorted

// encode returns the bytes of a metadata file.
func encode(meta ice.Metadata) ([]byte, error) {
	m, ok := meta.(json.Marshaler) // whose output json.Marshal would go over once more
	if !ok {
		return nil, fmt.Errorf("encode metadata: %T is no json.Marshaler", meta)
	}
	b, err := m.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	return b, nil
}
