package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// BenchmarkDemuxNewKeys makes 500 runs of which each brings five keys that no
// record had before, beyond the bound on columns, too. What it compares is the
// median of the first runs and that of the last: the first of all makes the table.
func BenchmarkDemuxNewKeys(b *testing.B) {
	const runs, compared = 500, 15
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		b.Fatal(err)
	}
	defer enc.Close()
	for b.Loop() {
		dir := b.TempDir()
		root := filepath.Join(dir, "store")
		at := int64(0)
		took := make([]usage, runs)
		for i := range runs {
			var body bytes.Buffer
			fmt.Fprintf(&body, `{"ts":"%s","level":"INFO","msg":"run %d"`, time.Now().UTC().Format(time.RFC3339Nano), i)
			for k := range 5 {
				fmt.Fprintf(&body, `,"key_%d":"value %d"`, 5*i+k, i)
			}
			body.WriteString("}\n")
			putSink(b, root, "s", enc, &at, [][]byte{body.Bytes()})
			took[i] = demuxOnce(b, dir, root)
		}
		first, last := median(took[1:compared+1]), median(took[runs-compared:])
		b.Logf("a run of the first %d: %v CPU, of the last: %v", compared, first, last)
		b.ReportMetric(last.Seconds()/first.Seconds(), "xCPU")
		files, err := filepath.Glob(filepath.Join(root, "tables", "app", "metadata", "*.metadata.json"))
		if err != nil || len(files) == 0 {
			b.Fatalf("metadata: %v, %v", files, err)
		}
		info, err := os.Stat(slices.Max(files))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size())/1e3, "kB-metadata")
		b.ReportMetric(float64(bytesBelow(b, filepath.Join(root, "tables", "app", "metadata"), ".json"))/1e6, "MB-metadata-json")
	}
}

// median is that of the CPU times.
func median(of []usage) time.Duration {
	var cpu []time.Duration
	for _, u := range of {
		cpu = append(cpu, u.cpu)
	}
	slices.Sort(cpu)
	return cpu[len(cpu)/2]
}
