// Command byhand runs a statement over Parquet files by the DuckDB that Akupara
// bundles, as BenchmarkQuery's script does by the newest one of Python's.
//
//	byhand 'GLOB' 'SELECT … FROM app …'
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/duckdb/duckdb-go/v2/mapping"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(glob, sql string) error {
	files, err := filepath.Glob(glob)
	if err != nil {
		return err
	}
	var db mapping.Database
	var conn mapping.Connection
	if mapping.Open("", &db) == mapping.StateError || mapping.Connect(db, &conn) == mapping.StateError {
		return fmt.Errorf("open DuckDB")
	}
	for _, s := range []string{
		"SET TimeZone='UTC'",
		"SET threads=2",
		"CREATE VIEW app AS FROM read_parquet(['" + strings.Join(files, "', '") + "'], hive_partitioning=false)",
		"COPY (" + sql + ") TO '/dev/null' (FORMAT csv)",
	} {
		var res mapping.Result
		if mapping.Query(conn, s, &res) == mapping.StateError {
			return fmt.Errorf("%s: %s", s, mapping.ResultError(&res))
		}
		mapping.DestroyResult(&res)
	}
	return nil
}
