package duck

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/duckdb/duckdb-go/v2/mapping"
)

// numbered gives out parts of a thousand rows each.
type numbered struct {
	mu              sync.Mutex
	columns         []int
	at, parts, open int
	fail            error // in the middle
}

var numberedColumns = []StreamColumn{
	{"n", mapping.TypeBigInt}, {"s", mapping.TypeVarchar}, {"t", mapping.TypeTimestampTZ}, {"m", mapping.TypeMap}, {"d", mapping.TypeDouble}, {"b", mapping.TypeBoolean},
}

func (p *numbered) Next() (string, func(), error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at == p.parts {
		return "", nil, nil
	}
	if p.fail != nil && p.at > p.parts/2 {
		return "", nil, p.fail
	}
	exprs := []string{"n", "CASE WHEN n % 3 > 0 THEN 'text of row ' || n END", "make_timestamptz(n * 1000000)", "MAP {'k' || n: NULL, 'x': n::VARCHAR}", "n / 4", "n % 2 = 0"}
	var list []string
	for _, c := range p.columns {
		list = append(list, exprs[c])
	}
	if len(list) == 0 {
		list = []string{"1"}
	}
	sql := fmt.Sprintf("SELECT %s FROM range(%d, %d) r(n)", strings.Join(list, ", "), p.at*1000, p.at*1000+1000)
	p.at++
	p.open++
	return sql, func() { p.mu.Lock(); p.open--; p.mu.Unlock() }, nil
}

func TestAStreamIsReadAsATable(t *testing.T) {
	db, err := Open(map[string]string{"threads": "4"})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.EnableStreams(); err != nil {
		t.Fatal(err)
	}
	var all []*numbered
	var mu sync.Mutex
	var broken error
	stream := Stream{Columns: numberedColumns, Rows: 50_000, Threads: 3, Open: func(columns []int) (Parts, error) {
		mu.Lock()
		defer mu.Unlock()
		p := &numbered{columns: columns, parts: 50, fail: broken}
		all = append(all, p)
		return p, nil
	}}
	ask := func(sql string) (string, error) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		id, remove := db.AddStream(ctx, stream)
		c, err := db.Connect()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Exec(ctx, fmt.Sprintf("CREATE TEMP VIEW v AS FROM %s(%d)", StreamFunction, id)); err != nil {
			t.Fatal(err)
		}
		cell, err := c.Text(ctx, "SELECT CAST(q AS VARCHAR) FROM ("+sql+") q")
		c.Close()
		if rerr := remove(); (rerr == nil) != (err == nil) {
			t.Errorf("%s: got %v, and of the stream %v", sql, err, rerr)
		}
		for _, p := range all {
			if p.open != 0 {
				t.Errorf("%s: %d parts were not given back", sql, p.open)
			}
		}
		return cell.Text, err
	}
	for sql, want := range map[string]string{
		"select count(*) as n from v":                                      "{'n': 50000}",
		"select sum(n) as n, count(s) as s from v":                         "{'n': 1249975000, 's': 33333}",
		"select count(*) as n from v where b":                              "{'n': 25000}",
		"select * from v where n = 40001":                                  "{'n': 40001, 's': text of row 40001, 't': '1970-01-01 11:06:41+00', 'm': {k40001=NULL, x=40001}, 'd': 10000.25, 'b': false}",
		"select count(*) as n from v x join v y using (n) where x.s = y.s": "{'n': 33333}",
		"select max(d) as d, min(t) as t from v":                           "{'d': 12499.75, 't': '1970-01-01 00:00:00+00'}",
		"select n from v order by n desc limit 1":                          "{'n': 49999}",
		"select count(*) as n from (select * from v limit 10)":             "{'n': 10}",
	} {
		if got, err := ask(sql); err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", sql, got, err, want)
		}
	}
	last := all[len(all)-1]
	if len(all) != 9 {
		t.Errorf("it was opened %d times (at last with %v), want 9", len(all), last.columns)
	}
	broken = errors.New("the store is away")
	if _, err := ask("select count(*) from v"); err == nil || !strings.Contains(err.Error(), "the store is away") {
		t.Errorf("a part that fails: got %v", err)
	}
}

func TestAStreamEndsWithItsContext(t *testing.T) {
	db, err := Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.EnableStreams(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := &numbered{parts: 1 << 40}
	id, remove := db.AddStream(ctx, Stream{Columns: numberedColumns, Threads: 2, Open: func(columns []int) (Parts, error) {
		p.columns = columns
		return p, nil
	}})
	c, err := db.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rows, err := c.Query(ctx, fmt.Sprintf("SELECT s FROM %s(%d)", StreamFunction, id))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; rows.Next(); i++ {
		if i == 5000 {
			cancel()
		}
	}
	if err := rows.Close(); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was canceled", err)
	}
	_ = remove()
	if p.open != 0 {
		t.Errorf("%d parts were not given back", p.open)
	}
}
