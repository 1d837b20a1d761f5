package table

import (
	"fmt"

	iceberg "github.com/apache/iceberg-go"

	"github.com/akupara/akupara/demux/schema"
)

// columnsOf reads our columns out of an Iceberg schema.
func columnsOf(sc *iceberg.Schema) ([]schema.Column, error) {
	out := make([]schema.Column, 0, sc.NumFields())
	for _, f := range sc.Fields() {
		c := schema.Column{ID: f.ID, Name: f.Name, Required: f.Required, Doc: f.Doc}
		switch t := f.Type.(type) {
		case iceberg.TimestampTzType:
			c.Type = schema.Timestamp
		case iceberg.StringType:
			c.Type = schema.String
		case iceberg.Int64Type:
			c.Type = schema.Long
		case iceberg.Float64Type:
			c.Type = schema.Double
		case iceberg.BooleanType:
			c.Type = schema.Boolean
		case iceberg.DateType:
			c.Type = schema.Date
		case *iceberg.MapType:
			c.Type, c.KeyID, c.ValueID = schema.Map, t.KeyID, t.ValueID
		default:
			return nil, fmt.Errorf("column %s has type %s, which is none of ours", f.Name, f.Type)
		}
		out = append(out, c)
	}
	return out, nil
}

func icebergType(c *schema.Column) iceberg.Type {
	switch c.Type {
	case schema.Timestamp:
		return iceberg.PrimitiveTypes.TimestampTz
	case schema.Long:
		return iceberg.PrimitiveTypes.Int64
	case schema.Double:
		return iceberg.PrimitiveTypes.Float64
	case schema.Boolean:
		return iceberg.PrimitiveTypes.Bool
	case schema.Date:
		return iceberg.PrimitiveTypes.Date
	case schema.Map:
		return &iceberg.MapType{
			KeyID: c.KeyID, KeyType: iceberg.PrimitiveTypes.String,
			ValueID: c.ValueID, ValueType: iceberg.PrimitiveTypes.String,
		}
	}
	return iceberg.PrimitiveTypes.String
}

func icebergSchema(id int, cols []schema.Column) *iceberg.Schema {
	fields := make([]iceberg.NestedField, len(cols))
	for i := range cols {
		c := &cols[i]
		fields[i] = iceberg.NestedField{ID: c.ID, Name: c.Name, Type: icebergType(c), Required: c.Required, Doc: c.Doc}
	}
	return iceberg.NewSchema(id, fields...)
}

// leavesOf returns the ids of what has values in a data file: columns, and keys
// and values of maps.
func leavesOf(cols []schema.Column) map[int]bool {
	out := make(map[int]bool, len(cols))
	for i := range cols {
		c := &cols[i]
		if c.Type == schema.Map {
			out[c.KeyID], out[c.ValueID] = true, true
		} else {
			out[c.ID] = true
		}
	}
	return out
}

// checkPlanned holds what Iceberg made of the columns against the plan that
// the data files were written by.
func checkPlanned(sc *iceberg.Schema, planned []schema.Column) error {
	got, err := columnsOf(sc)
	if err != nil {
		return err
	}
	if len(got) != len(planned) {
		return fmt.Errorf("the table would have %d columns, planned were %d", len(got), len(planned))
	}
	for i := range got {
		if got[i] != planned[i] {
			return fmt.Errorf("column %d would be %+v, planned was %+v", i, got[i], planned[i])
		}
	}
	return nil
}
