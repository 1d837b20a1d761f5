package bench

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protowire"
)

// otlpSink takes OTLP over HTTP and counts log records.
type otlpSink struct {
	zstd    *zstd.Decoder
	records atomic.Int64
	wire    atomic.Int64 // bytes received
}

func (s *otlpSink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		s.wire.Add(int64(len(body)))
		body, err = s.zstd.DecodeAll(body, nil)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.records.Add(logRecords(body))
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// logRecords counts the records of an ExportLogsServiceRequest (OTLP 1.0,
// logs_service.proto): resource_logs (1) hold scope_logs (2), which hold
// log_records (2).
func logRecords(request []byte) (n int64) {
	each(request, 1, func(resource []byte) {
		each(resource, 2, func(scope []byte) {
			each(scope, 2, func([]byte) { n++ })
		})
	})
	return n
}

// each calls f with every submessage of that number; damage ends it.
func each(message []byte, number protowire.Number, f func([]byte)) {
	for len(message) > 0 {
		num, typ, n := protowire.ConsumeTag(message)
		if n < 0 {
			return
		}
		message = message[n:]
		if num == number && typ == protowire.BytesType {
			sub, n := protowire.ConsumeBytes(message)
			if n < 0 {
				return
			}
			f(sub)
			message = message[n:]
			continue
		}
		if n = protowire.ConsumeFieldValue(num, typ, message); n < 0 {
			return
		}
		message = message[n:]
	}
}

// otel tails the log with an OpenTelemetry Collector, offsets on disk, and
// posts it compressed with zstd. With its queue on disk it goes without the
// batch processor, which holds in memory what a crash then loses.
func otel(b *testing.B, log string, lines int64, queueOnDisk bool) (usage, *otlpSink) {
	b.Helper()
	bin, err := filepath.Abs(filepath.Join("..", ".tools", "otelcol"))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		b.Skipf("%v: run make bench, which builds it", err)
	}
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		b.Fatal(err)
	}
	defer decoder.Close()
	sink := &otlpSink{zstd: decoder}
	url := sinkAt(b, sink)
	dir, queue, batch, storage := b.TempDir(), "", "batch", "file_storage/offsets"
	if queueOnDisk {
		queue, batch = ", storage: file_storage/queue", ""
		storage += ", file_storage/queue"
	}
	config := writeConfig(b, dir, fmt.Sprintf(`
receivers:
  filelog: {include: ["%s"], start_at: beginning, storage: file_storage/offsets}
processors:
  batch: {}
exporters:
  otlphttp: {endpoint: "%s", compression: zstd, sending_queue: {enabled: true%s}}
extensions:
  file_storage/offsets: {directory: %s/offsets, create_directory: true}
  file_storage/queue: {directory: %s/queue, create_directory: true}
service:
  extensions: [%s]
  telemetry: {metrics: {level: none}, logs: {level: error}}
  pipelines:
    logs: {receivers: [filelog], processors: [%s], exporters: [otlphttp]}
`, log, url, queue, dir, dir, storage, batch))
	s := serve(b, "", exec.Command(bin, "--config", config))
	until(b, "the OpenTelemetry Collector has sent all", func() bool { return sink.records.Load() >= lines })
	return s.end(b), sink
}
