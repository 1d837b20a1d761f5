// Package substrait stands in for the module of that name, which holds the
// Substrait project's function definitions as YAML. iceberg-go parses all of
// them at the start of every process, for scans that push filters into Arrow;
// we scan with DuckDB and never use one. Without them a process starts 65 ms of
// processor time earlier, and 60 MB smaller.
package substrait

import "embed"

//go:embed extensions/*
var files embed.FS

// GetSubstraitFS gives no definitions.
func GetSubstraitFS() embed.FS { return files }

// GetSubstraitExtensionsFS gives no definitions.
func GetSubstraitExtensionsFS() embed.FS { return files }

// GetSubstraitTestsFS gives no tests.
func GetSubstraitTestsFS() embed.FS { return files }
