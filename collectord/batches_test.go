package collectord

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/wire"
)

func TestBadBatchesAreRefusedAndNothingIsStored(t *testing.T) {
	s := newSetup(t)
	r := s.start(t)
	frame := batch(t, "app", "s", 0, "some body").Frame
	change := func(at int, b ...byte) []byte {
		bad := bytes.Clone(frame)
		copy(bad[at:], b)
		return bad
	}
	long := binary.LittleEndian.AppendUint32(nil, 1<<30)
	for name, c := range map[string]struct {
		body      io.Reader
		length    int64
		status    int
		permanent string
	}{
		"wrong CRC":            {bytes.NewReader(change(len(frame)-1, frame[len(frame)-1]^1)), int64(len(frame)), 400, "true"},
		"wrong header CRC":     {bytes.NewReader(change(22, 0xff)), int64(len(frame)), 400, "true"},
		"lying header length":  {bytes.NewReader(change(4, long...)), int64(len(frame)), 400, "true"},
		"lying block length":   {bytes.NewReader(change(12, long...)), int64(len(frame)), 400, "true"},
		"longer than it says":  {io.MultiReader(bytes.NewReader(frame), strings.NewReader("x")), int64(len(frame)) + 1, 400, "true"},
		"shorter than it says": {bytes.NewReader(frame[:len(frame)-1]), int64(len(frame)) - 1, 400, "true"},
		"not a batch":          {strings.NewReader(strings.Repeat("x", 100)), 100, 400, "true"},
		"empty":                {strings.NewReader("x"), 1, 400, "true"},
		"invalid type":         {bytes.NewReader(badType(t)), int64(len(badType(t))), 400, "true"},
		"no length":            {io.MultiReader(bytes.NewReader(frame)), -1, 411, "true"},
		"too large":            {io.MultiReader(strings.NewReader("")), chunk.MaxFrameLen + 1, 413, "true"},
	} {
		if name == "too large" { // the body is refused before it is sent
			if status := rawStatus(t, r.Addr(), c.length); status != c.status {
				t.Errorf("%s: status %d, want %d", name, status, c.status)
			}
			continue
		}
		answer := r.post(t, wire.BatchesPath, c.body, c.length)
		if answer.status != c.status || !strings.Contains(string(answer.body), `"permanent":`+c.permanent) || !strings.Contains(string(answer.body), `"error":"`) {
			t.Errorf("%s: %d %s, want %d with a reason, permanent %s", name, answer.status, answer.body, c.status, c.permanent)
		}
	}
	if st := r.Status(); st.OpenSegments != 0 || st.WaitingBytes != 0 {
		t.Errorf("bad batches left %d segments and %d bytes in the spool", st.OpenSegments, st.WaitingBytes)
	}
	r.mustSend(t, frame)
}

// badType makes a frame whose CRCs are right and whose type's name is not.
func badType(t testing.TB) []byte {
	frame := bytes.Clone(batch(t, "app", "s", 0, "some body").Frame)
	header := frame[chunk.FramePrefix : chunk.FramePrefix+int(binary.LittleEndian.Uint32(frame[4:]))]
	at := bytes.Index(header, []byte("app"))
	copy(header[at:], "../")
	binary.LittleEndian.PutUint32(frame[8:], chunk.CRC(header))
	return frame
}

// rawStatus sends a request's header alone.
func rawStatus(t testing.TB, addr string, length int64) int {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", wire.BatchesPath, length)
	var status int
	if _, err := fmt.Fscanf(conn, "HTTP/1.1 %d", &status); err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return status
}

func TestBatchThatIsCutOffIsNotStored(t *testing.T) {
	r := newSetup(t).start(t)
	frame := batch(t, "app", "s", 0, "some body").Frame
	conn, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", wire.BatchesPath, len(frame), frame[:len(frame)-1])
	conn.(*net.TCPConn).CloseWrite()
	answer, _ := io.ReadAll(conn)
	conn.Close()
	if !bytes.Contains(answer, []byte(`"permanent":false`)) {
		t.Errorf("answer %q, want one that is not permanent", answer)
	}
	if st := r.Status(); st.WaitingBytes != 0 {
		t.Errorf("%d bytes were stored", st.WaitingBytes)
	}
}
