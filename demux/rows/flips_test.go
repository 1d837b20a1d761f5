package rows_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/store/local"
)

// dataFile writes one file of n rows below dir, and returns its path there.
func dataFile(t *testing.T, dir string, n int) (files *local.FS, path string) {
	t.Helper()
	files, err := local.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := parse.New(parse.MustSpec("json"), parse.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	var body []byte
	for i := range n {
		body = append(body, `{"ts":"2026-03-01T10:00:00Z","n":`+strconv.Itoa(i)+`,"id":"`+strconv.FormatUint(rnd.Uint64(), 36)+`","f":0.5,"ok":true,"msg":"hello"}`+"\n"...)
	}
	c := chunk.Chunk{Host: "h", Source: "/f", Stream: "s", Last: int64(len(body)), Body: body}
	b := rows.NewBuilder(rows.Options{})
	if err := p.Parse(t.Context(), &c, nil, b); err != nil {
		t.Fatal(err)
	}
	b.Covers(0, chunk.Ranges{c.Range()})
	path = "tables/app/data/ts_hour=2026-03-01-10/run-00000.parquet"
	_, err = b.WriteFiles(t.Context(), func(ctx context.Context, _ int64, _ int) (io.WriteCloser, string, error) {
		w, err := files.Create(ctx, path)
		return w, path, err
	}, schema.Plan(nil, b.Columns(), 0), rows.Layout{})
	if err != nil {
		t.Fatal(err)
	}
	return files, path
}

// engines reads data files with engines outside the project, and prints of each
// whether it gives an error, the same rows as the whole file, or others. A reader
// may die of a damaged file: 50 of them have a process.
const engines = `
import os, subprocess, sys
part = """
import sys, duckdb, pyarrow.parquet as pq
def rows(engine, i):
    f = "%s/%s.parquet" % (sys.argv[1], i)
    if engine == "duckdb":
        q = "select * replace (ts::varchar as ts) from read_parquet(?) order by seq"
        return duckdb.connect().execute(q, [f]).fetchall()
    return pq.read_table(f, page_checksum_verification=True).to_pylist()
for engine in ("duckdb", "pyarrow"):
    want = str(rows(engine, "whole"))
    for i in range(int(sys.argv[2]), int(sys.argv[3])):
        try:
            told = "same" if str(rows(engine, i)) == want else "other"
        except BaseException:
            told = "error"
        print(engine, i, told, flush=True)
"""
n = int(sys.argv[2])
for i in range(0, n, 50):
    subprocess.run([sys.executable, "-c", part, sys.argv[1], str(i), str(min(i + 50, n))])
`

// A flipped bit anywhere is found by Verify. In a page it gives no other rows in
// engines outside the project: an error, or the same ones. Pages' headers and the
// footer have no checksum that engines know.
func TestFlippedBitsGiveNoOtherRows(t *testing.T) {
	dir := t.TempDir()
	files, path := dataFile(t, dir, 3000)
	whole, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("whole.parquet", whole)
	inPage := pages(t, whole)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 7))
	const n = 400
	at := make([]int, n)
	for i := range n {
		at[i] = rnd.IntN(len(whole))
		bad := bytes.Clone(whole)
		bad[at[i]] ^= 1 << rnd.IntN(8)
		write(path, bad)
		if _, err := datafile.Verify(t.Context(), files, path); !errors.Is(err, datafile.ErrDamaged) {
			t.Errorf("flip %d, in byte %d: Verify gives %v", i, at[i], err)
		}
		write(strconv.Itoa(i)+".parquet", bad)
	}

	python := os.Getenv("AKUPARA_PYTHON")
	if python == "" {
		python = "../../.tools/venv/bin/python"
	}
	if exec.Command(python, "-c", "import duckdb, pyarrow.parquet").Run() != nil {
		t.Skip("no Python with duckdb and pyarrow: `make readers` installs one in .tools/venv")
	}
	out, err := exec.Command(python, "-c", engines, dir, strconv.Itoa(n)).Output()
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		i, err := strconv.Atoi(f[1])
		if err != nil {
			t.Fatal(err)
		}
		count[f[0]+" "+f[2]]++
		if f[2] == "other" && inPage[at[i]] {
			t.Errorf("%s gives other rows for a flip in byte %d, which is in a page", f[0], at[i])
		}
	}
	t.Log(count)
	for _, engine := range []string{"duckdb", "pyarrow"} {
		failed, other := count[engine+" error"], count[engine+" other"]
		// One that dies of a flip tells nothing of those behind it.
		if failed < n/2 || other > n/40 {
			t.Errorf("%s: of %d flips %d are errors and %d give other rows", engine, n, failed, other)
		}
		if told := failed + other + count[engine+" same"]; told < n*3/4 {
			t.Errorf("%s: tells of %d flips only", engine, told)
		}
	}
}

// pages tells of each byte of a data file whether it is part of a page.
func pages(t *testing.T, file []byte) []bool {
	t.Helper()
	in := make([]bool, len(file))
	footer := len(file) - 8 - int(binary.LittleEndian.Uint32(file[len(file)-8:]))
	for at := 4; at < footer; {
		r := new(thrift.CompactProtocol).NewReaderFromBytes(file[at:footer])
		var h format.PageHeader
		if err := thrift.NewDecoder(r).Decode(&h); err != nil {
			t.Fatal(err)
		}
		at += r.BytesRead()
		for range h.CompressedPageSize {
			in[at] = true
			at++
		}
	}
	return in
}

func TestFileOfAnotherNameIsFound(t *testing.T) {
	dir := t.TempDir()
	files, path := dataFile(t, dir, 10)
	other := strings.Replace(path, "00000", "00001", 1)
	if err := os.Rename(filepath.Join(dir, path), filepath.Join(dir, other)); err != nil {
		t.Fatal(err)
	}
	if _, err := datafile.Read(t.Context(), files, other); !errors.Is(err, datafile.ErrDamaged) || !strings.Contains(err.Error(), "run-00000.parquet") {
		t.Errorf("got %v", err)
	}
}
