package apptest

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store/storetest"
)

// frame builds a batch as an agent does.
func frame(t testing.TB, chunks ...chunk.Chunk) string {
	t.Helper()
	enc, err := chunk.NewEncoder()
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	b := chunk.NewBuilder("test", chunks[0].Type)
	for i := range chunks {
		if err := b.Add(&chunks[i]); err != nil {
			t.Fatal(err)
		}
	}
	return string(b.Finish(enc, nil).Frame)
}

// piece is a chunk of text that begins at an offset of a stream.
func piece(dataType, stream string, first int64, body string) chunk.Chunk {
	return chunk.Chunk{
		Type: dataType, Kind: chunk.Data, Host: "h1", Source: "/var/log/" + stream, Stream: stream,
		First: first, Last: first + int64(len(body)), Time: time.Now(), Body: []byte(body),
	}
}

func fact(dataType, stream string, kind chunk.Kind, first, last int64) chunk.Chunk {
	return chunk.Chunk{
		Type: dataType, Kind: kind, Host: "h1", Source: "/var/log/" + stream, Stream: stream,
		First: first, Last: last, Time: time.Now(), Reason: "told by the test",
	}
}

// status is what a collector says of its spool.
type status struct {
	Ready           string `json:"ready"`
	OpenSegments    int    `json:"open_segments"`
	SealedSegments  int    `json:"sealed_segments"`
	WaitingBytes    int64  `json:"waiting_bytes"`
	Quarantined     int64  `json:"quarantined_bytes"`
	LastUploadError string `json:"last_upload_error"`
}

func (s *site) collectorStatus(t testing.TB) status {
	t.Helper()
	a := do(t, "GET", "http://"+s.collectorAddr+"/v1/status", "")
	if a.status != http.StatusOK {
		return status{}
	}
	return decode[status](t, a, http.StatusOK)
}

func TestBadBatchesAreRefusedAndNothingOfThemIsStored(t *testing.T) {
	t.Parallel()
	s := &site{}
	s.configure(t)
	s.collector = start(t, "collector", "akupara", "collector", "--config", s.config)
	ready(t, s.collectorAddr)
	url := "http://" + s.collectorAddr + "/v1/batches"
	good := frame(t, piece("good", "s", 0, "a good line\n"))
	patch := func(at int, with string) string { return good[:at] + with + good[at+len(with):] }
	// The header's CRC is made right again: only what it says is wrong.
	reheaded := func(from, to string) string {
		f := []byte(strings.Replace(good, from, to, 1))
		n := binary.LittleEndian.Uint32(f[4:])
		binary.LittleEndian.PutUint32(f[8:], chunk.CRC(f[chunk.FramePrefix:chunk.FramePrefix+int(n)]))
		return string(f)
	}
	lying := []byte(good)
	binary.LittleEndian.PutUint32(lying[12:], binary.LittleEndian.Uint32(lying[12:])+1)
	for name, body := range map[string]string{
		"a wrong CRC of the block":  patch(len(good)-3, "\x00\xff"),
		"a wrong CRC of the header": patch(chunk.FramePrefix+2, "\xff"),
		"a length that lies":        string(lying),
		"a huge length":             patch(12, "\xff\xff\xff\x7f"),
		"a cut off batch":           good[:len(good)-1],
		"more than the batch":       good + "x",
		"an invalid type":           reheaded("good", "../x"),
		"another invalid type":      reheaded("good", "GOOD"),
		"garbage":                   strings.Repeat("garbage ", 1000),
		"nothing":                   "",
	} {
		a := do(t, "POST", url, body)
		var e struct {
			Error     string
			Permanent bool
		}
		if err := json.Unmarshal([]byte(a.body), &e); a.status < 400 || a.status > 499 || err != nil || len(e.Error) < 10 || !e.Permanent {
			t.Errorf("%s: got %d %s, want 4xx, permanent, with a reason", name, a.status, a.body)
		}
	}
	t.Run("too large a body is not read", func(t *testing.T) {
		conn, err := net.Dial("tcp", s.collectorAddr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /v1/batches HTTP/1.1\r\nHost: %s\r\nContent-Length: 99999999999\r\n\r\n", s.collectorAddr)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("got %s, want 413", resp.Status)
		}
	})
	if st := s.collectorStatus(t); st.WaitingBytes != 0 || st.OpenSegments != 0 || st.Ready != "ok" {
		t.Errorf("after what was refused: got %+v, want an empty spool that is ready", st)
	}
	for name, body := range map[string]string{
		"garbage": "garbage", "a path": `{"receipts":[{"type":"../../etc","segment":"x","block":0}]}`, "too many": `{"receipts":[` + strings.Repeat(`{},`, 5000) + `{}]}`,
	} {
		do(t, "POST", "http://"+s.collectorAddr+"/v1/receipts", body).want(t, "receipts: "+name, 400, "error")
	}
	do(t, "POST", url, good).want(t, "a good batch", 200, `"spooled"`)
	eventually(t, slow, "the good batch is published", func() bool { return len(files(t, filepath.Join(s.store, "raw"), "*.avro")) == 1 })
	if got := mustAkupara(t, "cat", "--config", s.config, filepath.Join(s.store, "raw")); got != "a good line\n" {
		t.Errorf("in the store: got %q, want the good line alone", got)
	}
	do(t, "GET", "http://"+s.collectorAddr+"/metrics", "").want(t, "metrics", 200, `status="400"`, `status="413"`)
}

func TestTheAuditTellsGapsFromBeginnings(t *testing.T) {
	t.Parallel()
	s := &site{}
	s.configure(t)
	s.collector = start(t, "collector", "akupara", "collector", "--config", s.config)
	ready(t, s.collectorAddr)
	for _, f := range []string{
		frame(t, piece("app", "whole", 0, "one\n"), piece("app", "whole", 4, "two\n"), fact("app", "whole", chunk.End, 8, 8)),
		frame(t, piece("app", "hole", 0, "one\n"), piece("app", "hole", 10, "two\n")),
		frame(t, piece("app", "late", 100, "one\n")),
		frame(t, fact("app", "told", chunk.Begin, 100, 100), piece("app", "told", 100, "one\n")),
		frame(t, piece("app", "lost", 0, "one\n"), fact("app", "lost", chunk.Lost, 4, 50), piece("app", "lost", 50, "two\n")),
		frame(t, piece("app", "short", 0, "one\n"), fact("app", "short", chunk.End, 30, 30)),
		frame(t, piece("app", "whole", 0, "one\ntwo\n")), // again, cut in another way
	} {
		do(t, "POST", "http://"+s.collectorAddr+"/v1/batches", f).want(t, "a batch", 200)
	}
	eventually(t, slow, "all is published", func() bool { return s.collectorStatus(t).WaitingBytes == 0 })

	want := map[string]string{"hole": "4-10", "late": "0-100", "short": "4-30"}
	compare := func(when string, unpublished, records int64) {
		t.Helper()
		out, code := akupara(t, "audit", "--json", "--config", s.config)
		var keys map[string]json.RawMessage
		var rep struct {
			Streams, Records, Bytes, Unpublished int64
			Gaps, Overlaps                       []struct {
				Host, Source, Stream string
				First, Last          int64
			}
		}
		for _, err := range []error{json.Unmarshal([]byte(out), &keys), json.Unmarshal([]byte(out), &rep)} {
			if err != nil {
				t.Fatalf("%v in %s", err, out)
			}
		}
		for _, k := range []string{"streams", "records", "bytes", "gaps", "overlaps", "unpublished"} {
			if keys[k] == nil {
				t.Errorf("%s: no %s in %s", when, k, out)
			}
		}
		if code != 1 || rep.Streams != 6 || rep.Records != records || rep.Unpublished != unpublished || len(rep.Overlaps) != 0 {
			t.Errorf("%s: exit code %d, %s; want 1, 6 streams, %d records, no overlap, %d bytes unpublished", when, code, out, records, unpublished)
		}
		got := map[string]string{}
		for _, g := range rep.Gaps {
			got[g.Stream] = fmt.Sprintf("%d-%d", g.First, g.Last)
			if g.Host != "h1" || g.Source != "/var/log/"+g.Stream {
				t.Errorf("%s: got a gap of %+v", when, g)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: gaps: got %v, want %v", when, got, want)
		}
	}
	compare("from the sink files", 36, 0)
	if out := mustAkupara(t, "demux", "--once", "--config", s.config); !strings.Contains(out, "app: 9 records") {
		t.Errorf("demux --once: got %q, want 9 records", out)
	}
	compare("from the table", 0, 9)
	if out := mustAkupara(t, "demux", "--once", "--config", s.config); !strings.Contains(out, "nothing new") {
		t.Errorf("demux --once again: got %q", out)
	}
	text, _ := akupara(t, "audit", "--config", s.config)
	for _, part := range []string{"/var/log/hole", "bytes 4 to 10", "lost"} {
		if !strings.Contains(text, part) {
			t.Errorf("audit for people: got %s, want %q in it", text, part)
		}
	}
}

func TestADamagedSinkFileIsQuarantinedAndTheRestUsed(t *testing.T) {
	t.Parallel()
	s := &site{}
	s.configure(t)
	s.collector = start(t, "collector", "akupara", "collector", "--config", s.config)
	ready(t, s.collectorAddr)
	send := func(f string) {
		t.Helper()
		do(t, "POST", "http://"+s.collectorAddr+"/v1/batches", f).want(t, "a batch", 200)
	}
	raw := filepath.Join(s.store, "raw")
	sinks := func(dataType string) []string { return files(t, filepath.Join(raw, dataType), "*.avro") }
	text := strings.Repeat("0123456789abcde\n", 64) // 1024 bytes
	// Of "block", the middle one of three blocks is hit; "tail" loses the end
	// of its only file, and the last block with it; of "head" nothing can be
	// read any more.
	for i := range int64(3) {
		send(frame(t, piece("block", "block", i*1024, text)))
		send(frame(t, piece("tail", "tail", i*1024, text)))
	}
	send(frame(t, piece("head", "head", 0, text)))
	eventually(t, slow, "three sink files are published", func() bool {
		return len(sinks("block")) == 1 && len(sinks("tail")) == 1 && len(sinks("head")) == 1
	})
	damage := func(dataType string, how func(b []byte) []byte) string {
		t.Helper()
		p := sinks(dataType)[0]
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, how(b), 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	damage("block", func(b []byte) []byte {
		blocks := strings.Split(string(b), "\x28\xb5\x2f\xfd") // zstd frames: the index is base64 in the header
		if len(blocks) != 4 {
			t.Fatalf("the file has %d zstd frames, want 3", len(blocks)-1)
		}
		b[len(blocks[0])+4+len(blocks[1])+4+12] ^= 0x55
		return b
	})
	damage("tail", func(b []byte) []byte { return b[:len(b)-30] })
	damage("head", func(b []byte) []byte { return append([]byte("not Avro"), b[8:]...) })
	if out, code := akupara(t, "cat", "--config", s.config, sinks("block")[0]); code != 1 || out != text {
		t.Errorf("cat of a damaged file: got %d bytes and exit code %d, want what comes before, 1024, and 1", len(out), code)
	}
	out := mustAkupara(t, "demux", "--once", "--config", s.config)
	for _, want := range []string{"block: 128 records", "tail: 128 records", "1 sink files are damaged"} {
		if !strings.Contains(out, want) {
			t.Errorf("demux --once: got %s, want %q in it", out, want)
		}
	}
	for _, dataType := range []string{"block", "tail", "head"} {
		q := filepath.Join(s.store, "quarantine", dataType)
		if len(files(t, q, "*.avro")) != 1 || len(files(t, q, "*.reason.json")) != 1 || len(sinks(dataType)) != 0 {
			t.Errorf("%s: quarantine holds %v, raw %v; want the file with its reason, and nothing", dataType, files(t, q, "*"), sinks(dataType))
		}
	}
	rep, code := audit(t, "--config", s.config)
	gaps := map[any]string{}
	for _, g := range rep.Gaps {
		gaps[g["stream"]] = fmt.Sprint(g["first"], "-", g["last"])
	}
	if want := map[any]string{"block": "1024-2048", "tail": "2048-3072"}; code != 1 || fmt.Sprint(gaps) != fmt.Sprint(want) {
		t.Errorf("audit: exit code %d, gaps %v, want 1 and %v", code, gaps, want)
	}
	if out, _ := akupara(t, "audit", "--json", "--config", s.config); !strings.Contains(out, `"unreadable":["quarantine/head/`) {
		t.Errorf("audit: got %s, want the file of which nothing is known named", out)
	}
	// What is sent again fills the gaps.
	send(frame(t, piece("block", "block", 0, strings.Repeat(text, 3))))
	send(frame(t, piece("tail", "tail", 1024, strings.Repeat(text, 2))))
	eventually(t, slow, "it is published", func() bool { return len(sinks("block")) == 1 && len(sinks("tail")) == 1 })
	mustAkupara(t, "demux", "--once", "--config", s.config)
	// What the third one held nobody knows, until a person says that it is elsewhere.
	if out, code := akupara(t, "audit", "--config", s.config); code != 1 || strings.Contains(out, "in quarantine, and in no table") || !strings.Contains(out, "1 sink file can't be read") {
		t.Errorf("audit, after it was sent again: exit code %d, %s; want 1, for the file of which nothing is known alone", code, out)
	}
	if err := os.Remove(files(t, filepath.Join(s.store, "quarantine", "head"), "*.avro")[0]); err != nil {
		t.Fatal(err)
	}
	if rep, code := audit(t, "--config", s.config); code != 0 || rep.Records != 384 {
		t.Errorf("audit, after it was sent again: exit code %d, %+v; want 0 and 384 records", code, rep)
	}
}

func TestTornSpoolsAndCheckpointsLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	logs := t.TempDir()
	file := writeFile(t, filepath.Join(logs, "a.log"), numbered("a", 0, 2000))
	s := &site{
		adaptors: fmt.Sprintf(`    - {name: plain, kind: tail, type: plain, paths: ["%s/*.log"]}
    - {name: said, kind: command, type: said, command: [echo, hello], every: 300ms}`, logs),
		agentKey: "  resend_after: 1s", sealAge: "10m",
	}
	s.configure(t)
	s.startAll(t)
	spooled := func(bytes int64) {
		t.Helper()
		eventually(t, slow, "all is in the collector's spool", func() bool {
			v, st := s.adaptor(t, "plain"), s.collectorStatus(t)
			return len(v.Position) == 1 && v.Position[0].Read == bytes && st.OpenSegments == 2
		})
	}
	spooled(2000 * 9)
	appendFile(t, file, numbered("a", 2000, 2100)) // a second frame of the segment
	spooled(2100 * 9)

	// The machine of both goes down; the ends of what was written are torn.
	s.collector.kill()
	s.agent.kill()
	data := filepath.Join(s.dir, "data")
	open := files(t, data, "*.open")
	if len(open) != 2 {
		t.Fatalf("open segments: %v, want two", open)
	}
	for _, p := range open {
		tear(t, p, 7)
	}
	journals := files(t, filepath.Join(data, "agent", "checkpoints"), "journal-*")
	if len(journals) == 0 {
		t.Fatal("no journals")
	}
	for _, p := range journals {
		tear(t, p, 3)
	}
	for _, p := range files(t, filepath.Join(data, "agent", "spool"), "*") {
		appendFile(t, p, "\x00\x01torn")
	}
	s.sealAge = "1s"
	s.rewrite(t)
	s.collector.start()
	s.agent.start()
	appendFile(t, file, numbered("a", 2100, 3000))
	s.becomes(t, slow, `select count(*) || ' ' || count(distinct message) from plain`, "3000 3000")
	if got := files(t, data, "*.damaged"); len(got) == 0 {
		t.Error("nothing of the torn segments is in quarantine")
	}
	if st := s.collectorStatus(t); st.Quarantined == 0 {
		t.Error("the collector counts nothing in quarantine")
	}
	do(t, "GET", s.agentURL("/readyz"), "").want(t, "the agent", 200)

	// The collector's disk is gone for good, with what it had taken.
	s.sealAge = "10m"
	s.rewrite(t)
	s.collector.stop()
	s.collector.start()
	appendFile(t, file, numbered("a", 3000, 4000))
	spooled(4000 * 9)
	s.collector.kill()
	if err := os.RemoveAll(filepath.Join(data, "collector")); err != nil {
		t.Fatal(err)
	}
	s.sealAge = "1s"
	s.rewrite(t)
	s.collector.start()
	s.becomes(t, slow, `select count(*) || ' ' || count(distinct message) from plain`, "4000 4000")

	if code := s.agent.stop(); code != 0 {
		t.Errorf("agent: exit code %d after SIGTERM, want 0", code)
	}
	eventually(t, slow, "audit finds nothing missing", func() bool {
		rep, code := audit(t, "--config", s.config)
		return code == 0 && rep.Unpublished == 0 && len(rep.Gaps) == 0 && len(rep.Overlaps) == 0
	})
	if got := s.value(t, `select count(*) - count(distinct (stream, seq)) || ' ' || count(distinct message) from said`); got != "0 1" {
		t.Errorf("rows of the command written twice, and its outputs: got %s, want 0 1", got)
	}
}

// tear cuts the last n bytes of a file off.
func tear(t testing.TB, path string, n int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, max(0, info.Size()-n))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestDataIsTakenWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	t.Run("local", func(t *testing.T) {
		t.Parallel()
		s := &site{}
		storeAway(t, s, func() { writeFile(t, s.store, "this is no folder\n") }, func() {
			if err := os.Remove(s.store); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("HDFS", func(t *testing.T) {
		t.Parallel()
		uri, err := url.Parse(storetest.SharedCluster(t))
		if err != nil {
			t.Fatal(err)
		}
		nameNode, addr := uri.Host, freeAddr(t)
		uri.Host = addr
		storeAway(t, &site{storeURI: uri.String()}, func() {}, func() { relay(t, addr, nameNode) })
	})
}

// relay passes connections to addr on to target until the test ends.
func relay(t *testing.T, addr, target string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	pipe := func(to, from net.Conn) {
		_, _ = io.Copy(to, from) // either end may break off
		to.Close()
		from.Close()
	}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			go pipe(server, client)
			go pipe(client, server)
		}
	}()
}

func storeAway(t *testing.T, s *site, away, back func()) {
	logs := t.TempDir()
	writeFile(t, filepath.Join(logs, "a.log"), numbered("a", 0, 500))
	s.adaptors = fmt.Sprintf(`    - {name: plain, kind: tail, type: plain, paths: ["%s/*.log"]}`, logs)
	s.configure(t)
	away()
	s.local.start(t)
	eventually(t, slow, "a sealed segment waits, and it is told why", func() bool {
		st := s.collectorStatus(t)
		return st.SealedSegments == 1 && st.LastUploadError != ""
	})
	do(t, "GET", "http://"+s.collectorAddr+"/readyz", "").want(t, "the collector still takes data", 200)
	appendFile(t, filepath.Join(logs, "a.log"), numbered("a", 500, 600))
	eventually(t, slow, "the agent has read on", func() bool {
		v := s.adaptor(t, "plain")
		return len(v.Position) == 1 && v.Position[0].Read == 600*9
	})
	if v := s.adaptor(t, "plain"); v.Position[0].Settled != 0 || v.LagBytes != 600*9 {
		t.Errorf("nothing is published, but the agent takes %d bytes for settled, %d not", v.Position[0].Settled, v.LagBytes)
	}
	for _, args := range [][]string{{"query", "select 1 from plain"}, {"audit", "--json"}, {"demux", "--once"}} {
		if out, code := akupara(t, append(args, "--config", s.config)...); code != 1 {
			t.Errorf("akupara %s without a store: exit code %d, want 1; %s", args[0], code, out)
		}
	}
	back()
	s.startWeb(t)
	s.becomes(t, slow, `select count(*) || ' ' || count(distinct message) from plain`, "600 600")
	eventually(t, slow, "all is settled", func() bool {
		v := s.adaptor(t, "plain")
		return v.Name != "" && v.LagBytes == 0
	})
	if st := s.collectorStatus(t); st.LastUploadError != "" {
		t.Errorf("the collector still tells of %q", st.LastUploadError)
	}
}

// TestARefusedBatchIsKept puts a collector that refuses for good between the
// agent and the real one.
func TestARefusedBatchIsKept(t *testing.T) {
	t.Parallel()
	logs := t.TempDir()
	writeFile(t, filepath.Join(logs, "a.log"), numbered("a", 0, 100))
	s := &site{adaptors: fmt.Sprintf(`    - {name: plain, kind: tail, type: plain, paths: ["%s/*.log"]}`, logs)}
	s.configure(t)
	behind := freeAddr(t)
	target, err := url.Parse("http://" + behind)
	if err != nil {
		t.Fatal(err)
	}
	var refusing atomic.Bool
	var posts atomic.Int64
	refusing.Store(true)
	proxy := httputil.NewSingleHostReverseProxy(target)
	l, err := net.Listen("tcp", s.collectorAddr)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !refusing.Load() {
			proxy.ServeHTTP(w, r)
			return
		}
		posts.Add(1)
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":"we do not like it","permanent":true}`)
	})}
	go func() { _ = server.Serve(l) }() // ends by Close
	t.Cleanup(func() { server.Close() })
	agent, config := s.agentAddr, s.config
	s.agent = start(t, "agentd", "agentd", "--config", config)
	eventually(t, slow, "the refusal is told", func() bool {
		text, err := os.ReadFile(s.agent.log.Name())
		return err == nil && strings.Contains(string(text), "we do not like it")
	})
	began, before := time.Now(), posts.Load()
	eventually(t, slow, "three seconds have passed", func() bool { return time.Since(began) > 3*time.Second })
	if n := posts.Load() - before; n > 10 {
		t.Errorf("%d posts in 3 s to a collector that refuses them for good, want a few at most", n)
	}
	do(t, "GET", "http://"+agent+"/v1/adaptors/plain", "").want(t, "its data is not settled", 200, `"lag_bytes":900`)
	// The same collector, repaired: the very bytes are taken.
	s.collectorAddr = behind
	s.config = filepath.Join(s.dir, "behind.yaml")
	s.rewrite(t)
	s.collector = start(t, "collector", "akupara", "collector", "--config", s.config)
	ready(t, behind)
	refusing.Store(false)
	s.demuxer = start(t, "demux", "akupara", "demux", "--config", s.config)
	s.startWeb(t)
	s.becomes(t, slow, `select count(*) || ' ' || count(distinct message) from plain`, "100 100")
}

func TestTwoDemuxesAndAllCommandsRunBesideEachOther(t *testing.T) {
	t.Parallel()
	logs := t.TempDir()
	s := &site{adaptors: fmt.Sprintf(`    - {name: plain, kind: tail, type: plain, paths: ["%s/*.log"]}
    - {name: other, kind: tail, type: other, paths: ["%s/*.log"]}`, logs, logs)}
	s.configure(t)
	s.startAll(t)
	second := *s
	second.demuxAddr, second.config = freeAddr(t), filepath.Join(s.dir, "second.yaml")
	second.rewrite(t)
	demux2 := start(t, "demux2", "akupara", "demux", "--config", second.config)
	const rounds, lines = 6, 200
	for i := range rounds {
		appendFile(t, filepath.Join(logs, fmt.Sprintf("%d.log", i%3)), numbered(fmt.Sprint("round", i), 0, lines))
		if i%2 == 0 {
			s.becomes(t, slow, `select count(*) from plain`, fmt.Sprint((i+1)*lines))
		}
		switch i {
		case 1, 3:
			if _, code := akupara(t, "demux", "--once", "--config", s.config); code != 0 {
				t.Errorf("demux --once beside two live ones: exit code %d, want 0", code)
			}
		case 2:
			if out, code := akupara(t, "audit", "--json", "--config", s.config); code > 1 || !strings.HasPrefix(out, "{") {
				t.Errorf("audit beside live daemons: exit code %d, %q", code, out)
			}
		case 4:
			mustAkupara(t, "check", "--config", s.config)
			if _, code := akupara(t, "cat", "--config", s.config, filepath.Join(s.store, "archive")); code != 0 {
				t.Errorf("cat beside live daemons: exit code %d, want 0", code)
			}
		case 5:
			demux2.kill()
			demux2.start()
		}
	}
	for _, table := range []string{"plain", "other"} {
		s.becomes(t, slow, `select count(*) || ' ' || count(distinct (stream, seq)) || ' ' || count(distinct message) from `+table,
			fmt.Sprintf("%d %[1]d %[1]d", rounds*lines))
	}
	eventually(t, slow, "audit is content", func() bool {
		rep, code := audit(t, "--config", s.config)
		return code == 0 && rep.Unpublished == 0 && rep.Records == 2*rounds*lines && rep.Streams == 6
	})
	if out := mustAkupara(t, "query", "--config", s.config, "--format", "csv", "select count(*) as n from plain"); out != fmt.Sprintf("n\n%d\n", rounds*lines) {
		t.Errorf("query: got %q", out)
	}
}
