package demux

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/store/local"
)

// recordKinds are ways to write the n-th record of a log.
var recordKinds = []struct {
	name, parser string
	write        func(b *bytes.Buffer, rnd *rand.Rand, n int)
}{
	{"json", "json", func(b *bytes.Buffer, rnd *rand.Rand, n int) {
		fmt.Fprintf(b, `{"ts":"%s","level":"INFO","message":"handled request %d for customer %d in shard %d","service":"checkout-%d","trace_id":"%016x%016x","http":{"method":"GET","path":"/api/v1/orders/%d","status":%d,"bytes":%d,"duration_ms":%.3f},"user":{"id":%d,"country":"DE","premium":true}}`+"\n",
			recordTime(n).Format("2006-01-02T15:04:05.000Z"), n, rnd.IntN(100000), rnd.IntN(64), rnd.IntN(8), rnd.Uint64(), rnd.Uint64(),
			rnd.IntN(50000), 200+rnd.IntN(5)*50, rnd.IntN(100000), rnd.Float64()*500, rnd.IntN(1000000))
	}},
	{"log4j", "log4j", func(b *bytes.Buffer, rnd *rand.Rand, n int) {
		b.WriteString(recordTime(n).Format("2006-01-02 15:04:05,000"))
		switch n % 4 {
		case 0:
			fmt.Fprintf(b, " INFO [DataXceiver for client at /10.251.91.%d:%d] org.apache.hadoop.hdfs.server.datanode.DataNode: Receiving block blk_-%d src: /10.251.91.84:%d dest: /10.251.91.84:50010\n",
				rnd.IntN(256), rnd.IntN(65536), rnd.Uint64(), rnd.IntN(65536))
		case 1:
			fmt.Fprintf(b, " INFO [main] org.apache.hadoop.hdfs.server.datanode.DataNode: PacketResponder %d for block blk_%d terminating\n", rnd.IntN(3), rnd.Uint64())
		case 2:
			fmt.Fprintf(b, " INFO [main] org.apache.hadoop.hdfs.StateChange: BLOCK* NameSystem.addStoredBlock: blockMap updated: 10.250.%d.%d:50010 is added to blk_%d size 67108864\n",
				rnd.IntN(256), rnd.IntN(256), rnd.Uint64())
		default:
			fmt.Fprintf(b, " WARN [IPC Server handler %d on 9000] org.apache.hadoop.ipc.Client: Retrying connect to server: node-%d.example.org/10.1.2.%d:8020. Already tried %d time(s); retry policy is RetryUpToMaximumCountWithFixedSleep(maxRetries=10, sleepTime=1000 MILLISECONDS)\n",
				rnd.IntN(64), rnd.IntN(500), rnd.IntN(256), rnd.IntN(10))
		}
	}},
	{"syslog", "syslog", func(b *bytes.Buffer, rnd *rand.Rand, n int) {
		fmt.Fprintf(b, "<38>%s host-%d sshd[%d]: ", recordTime(n).Format("Jan _2 15:04:05"), rnd.IntN(20), rnd.IntN(30000))
		switch n % 3 {
		case 0:
			fmt.Fprintf(b, "Failed password for root from 183.62.%d.%d port %d ssh2\n", rnd.IntN(256), rnd.IntN(256), rnd.IntN(65536))
		case 1:
			fmt.Fprintf(b, "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=183.62.%d.%d  user=root\n", rnd.IntN(256), rnd.IntN(256))
		default:
			fmt.Fprintf(b, "Received disconnect from 183.62.%d.%d: 11: Bye Bye [preauth]\n", rnd.IntN(256), rnd.IntN(256))
		}
	}},
	{"different", "raw", func(b *bytes.Buffer, rnd *rand.Rand, _ int) { // every template is another one
		for range 64 {
			b.WriteByte("abcdefghijklmnopqrstuvwxyz      "[rnd.IntN(32)])
		}
		b.WriteString("x\n")
	}},
}

func recordTime(n int) time.Time {
	return time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC).Add(time.Duration(n) * 7 * time.Millisecond)
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkTemplates has runs take the same sink files without templates and with
// them, by turns, and compares the least CPU time of both.
func BenchmarkTemplates(b *testing.B) {
	for _, kind := range recordKinds {
		b.Run(kind.name, func(b *testing.B) {
			rnd := rand.New(rand.NewPCG(1, 2))
			var raw int64
			var batches [][]chunk.Chunk
			for n := 0; raw < 32<<20; {
				var body bytes.Buffer
				for body.Len() < 1<<20 {
					kind.write(&body, rnd, n)
					n++
				}
				batches = append(batches, []chunk.Chunk{{Type: "app", Host: "h", Source: "/s", Stream: "x", First: raw, Last: raw + int64(body.Len()), Time: recordTime(n), Body: body.Bytes()}})
				raw += int64(body.Len())
			}
			var least [2]time.Duration
			for b.Loop() {
				for i, on := range []bool{false, true} {
					dir, err := os.MkdirTemp("", "akupara")
					if err != nil {
						b.Fatal(err)
					}
					st, err := local.New(dir)
					if err != nil {
						b.Fatal(err)
					}
					publish(b, st, batches...)
					cfg := DefaultConfig()
					cfg.Types = map[string]TypeConfig{"app": {
						Spec: parse.MustSpec(kind.parser), Templates: config.Value[Switch]{V: Switch(on), Pos: config.Pos{Line: 1}},
					}}
					d := newDemux(cfg, st, baseURI)
					start := cpuTime()
					runOnce(b, d)
					took := cpuTime() - start
					if least[i] == 0 || took < least[i] {
						least[i] = took
					}
					if err := os.RemoveAll(dir); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(raw)/1e6/least[0].Seconds(), "MB/cpu-s-without")
			b.ReportMetric(float64(raw)/1e6/least[1].Seconds(), "MB/cpu-s-with")
			b.ReportMetric(100*(float64(least[1])/float64(least[0])-1), "%more-cpu")
		})
	}
}
