package rows

import (
	"context"

	"github.com/akupara/akupara/demux/schema"
)

// WriteFiles writes all rows as Parquet files. cols are the table's columns
// with their ids, as schema.Plan gives them. After an error the files begun so
// far are given with it: they are to be removed.
func (b *Builder) WriteFiles(ctx context.Context, cols []schema.Column, l Layout, create Create) ([]File, error) {
	panic("not written yet")
}
