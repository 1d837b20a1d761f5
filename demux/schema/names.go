package schema

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// HourPartition and DayPartition are the names of the partition fields. They are
// no columns, and no column may be called like them. Where a table of an older
// version has a column of that name, the field's has underscores behind it.
const (
	HourPartition = "ts_hour"
	DayPartition  = "ts_day"
)

// maxName is the most bytes that a column's name may have.
const maxName = 256

// Fit reports whether a record's key can be the name of a column: one that is
// neither another thing's in Iceberg, Parquet and the engines that read the table,
// nor made of what they can't show. Values under other keys go to attributes.
func Fit(name string) bool {
	return name != "" && len(name) <= maxName && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) && !reserved(Fold(name))
}

// Fold returns the same for names that engines which ignore case take for one.
// The way over upper case makes one of letters that are only alike there.
func Fold(name string) string { return strings.ToLower(strings.ToUpper(name)) }

// reserved reports whether a folded name has a meaning of its own.
func reserved(folded string) bool {
	switch strings.TrimRight(folded, "_") {
	case HourPartition, DayPartition:
		return true
	}
	switch folded {
	// Iceberg's metadata columns (table spec, "Reserved Field IDs"), Spark's own.
	case "_file", "_pos", "_deleted", "_spec_id", "_partition", "_row_id", "_last_updated_sequence_number",
		"_change_type", "_change_ordinal", "_commit_snapshot_id", "_index", "_metadata":
		return true
	}
	// The parts of the maps, as Iceberg and Parquet name them.
	for _, m := range [...]string{Tags, Attributes} {
		if part, ok := strings.CutPrefix(folded, m+"."); ok {
			switch part {
			case "key", "value", "key_value", "key_value.key", "key_value.value", "map", "map.key", "map.value", "entries":
				return true
			}
		}
	}
	return false
}
