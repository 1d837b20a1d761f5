package generate

import (
	"bytes"
	"fmt"
	"math/bits"
	"strconv"
	"time"
)

// Content is what a stream's bytes follow from, and its offsets: nothing else
// does, no clock and no other line. Each line is a JSON object of LineBytes
// bytes, its newline included.
type Content struct {
	Seed      int64
	LineBytes int64
	// Start is the ts of the first line, and Step what each line adds to it. A
	// zero Start: lines have no ts.
	Start time.Time
	Step  time.Duration
}

// Bounds of a line, in bytes. The smallest takes any seed and offset.
const (
	MinLine = 192
	MaxLine = 64 << 10
)

// maxSeed is the largest whole number that every reader of JSON takes as it is.
const maxSeed = 1<<53 - 1

// maxStep is the longest time from line to line.
const maxStep = time.Minute

func (c Content) check() error {
	switch {
	case c.LineBytes < MinLine || c.LineBytes > MaxLine:
		return fmt.Errorf("lines of %d bytes; from %d to %d are allowed", c.LineBytes, MinLine, MaxLine)
	case c.Seed < 0 || c.Seed > maxSeed:
		return fmt.Errorf("seed %d; from 0 to %d is allowed", c.Seed, int64(maxSeed))
	case !c.Start.IsZero() && (c.Step < 1 || c.Step > maxStep):
		return fmt.Errorf("lines %v apart; from 1ns to %v is allowed", c.Step, maxStep)
	}
	return nil
}

// Append appends the lines of [first, last), which are offsets where lines
// start.
func (c Content) Append(dst []byte, first, last int64) []byte {
	for at := first; at < last; at += c.LineBytes {
		dst = c.line(dst, at)
	}
	return dst
}

// line appends the line at offset at.
func (c Content) line(dst []byte, at int64) []byte {
	begin := len(dst)
	n := at / c.LineBytes
	random := mix(uint64(c.Seed)*0x9e3779b97f4a7c15 + uint64(n))
	dst = append(dst, `{"n":`...)
	dst = strconv.AppendInt(dst, n, 10)
	dst = append(dst, `,"at_offset":`...)
	dst = strconv.AppendInt(dst, at, 10)
	dst = append(dst, `,"seed":`...)
	dst = strconv.AppendInt(dst, c.Seed, 10)
	if !c.Start.IsZero() {
		dst = append(dst, `,"ts":"`...)
		dst = c.at(n).AppendFormat(dst, "2006-01-02T15:04:05.000000Z")
		dst = append(dst, '"')
	}
	dst = append(dst, `,"level":"`...)
	dst = append(dst, levelOf(random)...)
	dst = append(dst, `","message":"`...)
	const end = "\"}\n"
	for text := int(c.LineBytes) - (len(dst) - begin) - len(end); text > 0; {
		random = mix(random)
		word := words[random%uint64(len(words))]
		word = word[:min(text, len(word))]
		dst = append(dst, word...)
		text -= len(word)
	}
	return append(dst, end...)
}

// at is the time of the n-th line.
func (c Content) at(n int64) time.Time {
	hi, lo := bits.Mul64(uint64(n), uint64(c.Step))
	seconds, rest := bits.Div64(hi, lo, uint64(time.Second)) // no line is so far off that this overflows
	return time.Unix(c.Start.Unix()+int64(seconds), int64(c.Start.Nanosecond())+int64(rest)).UTC()
}

// Verify tells where body differs first from the stream's bytes at offset; nil
// where it is the same. Neither end needs to be that of a line.
func Verify(c Content, offset int64, body []byte) error {
	if err := c.check(); err != nil {
		return err
	}
	if offset < 0 {
		return fmt.Errorf("offset %d is negative", offset)
	}
	var line []byte
	for len(body) > 0 {
		within := offset % c.LineBytes
		line = c.line(line[:0], offset-within)
		want := line[within:min(int64(len(line)), within+int64(len(body)))]
		if got := body[:len(want)]; !bytes.Equal(got, want) {
			i := int64(0)
			for got[i] == want[i] {
				i++
			}
			return fmt.Errorf("the byte at offset %d is %q, want %q, in the line %q", offset+i, got[i], want[i], line)
		}
		offset, body = offset+int64(len(want)), body[len(want):]
	}
	return nil
}

// mix spreads x over all 64 bits (the finalizer of SplitMix64: Steele, Lea and
// Flood, Fast splittable pseudorandom number generators, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// levelOf makes one line in 64 an error, and one in 16 a warning.
func levelOf(random uint64) string {
	switch n := random >> 58; {
	case n == 0:
		return "error"
	case n <= 4:
		return "warn"
	}
	return "info"
}

// words are what messages are made of, all of one length. They compress about
// as well as logs do.
var words = [...]string{
	"accepts ", "account ", "active. ", "address ", "archive ", "backend ", "balance ", "batches ",
	"blocked ", "browser ", "buffer= ", "catalog ", "changed ", "channel ", "checked ", "cluster ",
	"column= ", "commit= ", "connect ", "context ", "counter ", "created ", "cursor= ", "delayed ",
	"deleted ", "digest= ", "dropped ", "elapsed ", "entries ", "expired ", "failed; ", "filter= ",
	"flushed ", "forward ", "gateway ", "handler ", "headers ", "healthy ", "history ", "ignored ",
	"indexed ", "latency ", "leader= ", "library ", "listens ", "loaded. ", "locked; ", "machine ",
	"matched ", "message ", "missing ", "monitor ", "network ", "offset= ", "opened. ", "packet= ",
	"parsed; ", "pending ", "process ", "profile ", "publish ", "queued. ", "receipt ", "refused ",
	"region= ", "release ", "replica ", "request ", "reset;  ", "resumed ", "retried ", "routed. ",
	"running ", "schema= ", "section ", "segment ", "sender= ", "service ", "session ", "settled ",
	"shard=7 ", "signal= ", "skipped ", "slow;   ", "socket= ", "started ", "status= ", "stopped ",
	"storage ", "stream= ", "success ", "synced. ", "target= ", "tenant= ", "thread= ", "timeout ",
	"topic=9 ", "tracked ", "trimmed ", "updated ", "user=12 ", "value=0 ", "version ", "visited ",
	"volume= ", "waiting ", "warming ", "watcher ", "window= ", "worker= ", "written ", "zone=a1 ",
}
