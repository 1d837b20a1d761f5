package checkpoints

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// A file is a sequence of frames: length and CRC-32C of the body, four bytes
// each, little-endian, and the body: an op and its fields, numbers as varints,
// texts behind their length. The first frame is opHead, and a snapshot's last
// one is opTail: a snapshot without it is torn.
const (
	frameHead = 8
	maxFrame  = 2<<20 + 4096 // body: more than the largest value, or all texts of a stream
	version   = 3            // 1 had no opRewind; 2 had opOpen for opStream, and no opMove
)

type op byte

const (
	opHead    op = 1  // version, generation, agent id, hash of the machine-id
	opTail    op = 2  // number of records before it
	opOpen    op = 3  // a whole stream as versions 1 and 2 wrote it: without kind and type
	opUpdate  op = 4  // id, source, identity, ended
	opSent    op = 5  // id, end, fingerprint
	opSettled op = 6  // id, position
	opForget  op = 7  // id
	opPut     op = 8  // name, value
	opDelete  op = 9  // name
	opRewind  op = 10 // id, position
	opStream  op = 11 // a whole stream
	opMove    op = 12 // id, owner, type, begin
)

// record is one decoded frame; which fields are set depends on the op.
type record struct {
	op     op
	owner  Owner  // of opStream and opMove
	name   string // of opPut and opDelete
	stream Stream
	value  []byte
	head   head
	count  int64
}

// head is what the first frame of a file tells.
type head struct {
	version int64
	gen     uint64
	agent   string
	machine string // hash of the machine-id; empty where there is none
}

var (
	errTorn    = errors.New("cut off or damaged")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// errNewer says that a file is whole, but was written by a later version.
var errNewer = errors.New("written by a newer version of this program")

// appendFrame serialises r as one frame behind b.
func appendFrame(b []byte, r *record) []byte {
	at := len(b)
	b = append(b, make([]byte, frameHead)...)
	b = append(b, byte(r.op))
	switch s := &r.stream; r.op {
	case opHead:
		b = binary.AppendVarint(b, r.head.version)
		b = binary.AppendUvarint(b, r.head.gen)
		b = appendText(b, r.head.agent)
		b = appendText(b, r.head.machine)
	case opTail:
		b = binary.AppendVarint(b, r.count)
	case opStream:
		b = appendOwner(b, r.owner)
		b = appendText(b, s.Type)
		b = appendText(b, s.ID)
		b = appendText(b, s.Source)
		b = appendText(b, s.Identity)
		b = binary.AppendVarint(b, s.Begin)
		b = binary.AppendVarint(b, s.Settled)
		b = binary.AppendVarint(b, s.Sent)
		b = binary.LittleEndian.AppendUint64(b, s.Tail)
		b = append(b, flag(s.Ended))
		b = binary.AppendVarint(b, s.Doubt)
	case opMove:
		b = appendText(b, s.ID)
		b = appendOwner(b, r.owner)
		b = appendText(b, s.Type)
		b = binary.AppendVarint(b, s.Begin)
	case opUpdate:
		b = appendText(b, s.ID)
		b = appendText(b, s.Source)
		b = appendText(b, s.Identity)
		b = append(b, flag(s.Ended))
	case opSent:
		b = appendText(b, s.ID)
		b = binary.AppendVarint(b, s.Sent)
		b = binary.LittleEndian.AppendUint64(b, s.Tail)
	case opSettled, opRewind:
		b = appendText(b, s.ID)
		b = binary.AppendVarint(b, s.Settled)
	case opForget:
		b = appendText(b, s.ID)
	case opPut:
		b = appendText(b, r.name)
		b = appendText(b, r.value)
	case opDelete:
		b = appendText(b, r.name)
	}
	body := b[at+frameHead:]
	binary.LittleEndian.PutUint32(b[at:], uint32(len(body)))
	binary.LittleEndian.PutUint32(b[at+4:], crc32.Checksum(body, castagnoli))
	return b
}

func appendOwner(b []byte, o Owner) []byte {
	b = appendText(b, o.Adaptor)
	b = appendText(b, o.Kind)
	return appendText(b, o.Type)
}

func appendText[T string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func flag(is bool) byte {
	if is {
		return 1
	}
	return 0
}

// nextFrame splits the first frame off b. errTorn says that b does not start
// with a whole one.
func nextFrame(b []byte) (body, rest []byte, err error) {
	if len(b) < frameHead {
		return nil, b, errTorn
	}
	n := int64(binary.LittleEndian.Uint32(b))
	if n == 0 || n > maxFrame || n > int64(len(b)-frameHead) {
		return nil, b, errTorn
	}
	body = b[frameHead : frameHead+n]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, b, errTorn
	}
	return body, b[frameHead+n:], nil
}

// decode reads a frame's body. Texts are copied out of it.
func decode(body []byte) (record, error) {
	d := decoder{b: body[1:]}
	r := record{op: op(body[0])}
	switch s := &r.stream; r.op {
	case opHead:
		r.head.version = d.long()
		if d.err == nil && r.head.version > version {
			return r, errNewer // the rest may look different
		}
		r.head.gen = d.ulong()
		r.head.agent = d.text()
		r.head.machine = d.text()
	case opTail:
		r.count = d.long()
	case opOpen, opStream:
		if r.op == opOpen {
			r.owner.Adaptor = d.text()
		} else {
			r.owner = d.owner()
			s.Type = d.text()
		}
		s.ID = d.text()
		s.Source = d.text()
		s.Identity = d.bytes()
		s.Begin = d.long()
		s.Settled = d.long()
		s.Sent = d.long()
		s.Tail = d.fixed()
		s.Ended = d.flag()
		if r.op == opStream {
			s.Doubt = d.long()
		}
	case opMove:
		s.ID = d.text()
		r.owner = d.owner()
		s.Type = d.text()
		s.Begin = d.long()
	case opUpdate:
		s.ID = d.text()
		s.Source = d.text()
		s.Identity = d.bytes()
		s.Ended = d.flag()
	case opSent:
		s.ID = d.text()
		s.Sent = d.long()
		s.Tail = d.fixed()
	case opSettled, opRewind:
		s.ID = d.text()
		s.Settled = d.long()
	case opForget:
		s.ID = d.text()
	case opPut:
		r.name = d.text()
		r.value = d.bytes()
	case opDelete:
		r.name = d.text()
	default:
		return r, fmt.Errorf("%w: op %d is not known", errTorn, r.op)
	}
	if d.err == nil && len(d.b) != 0 {
		d.err = fmt.Errorf("%w: %d bytes too many in a record", errTorn, len(d.b))
	}
	return r, d.err
}

// decoder reads fields from memory; after the first error it gives zeros.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() {
	if d.err == nil {
		d.err = fmt.Errorf("%w: a field is cut off", errTorn)
	}
	d.b = nil
}

func (d *decoder) long() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 || v < 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) ulong() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) fixed() uint64 {
	if len(d.b) < 8 {
		d.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}

func (d *decoder) flag() bool {
	if len(d.b) < 1 || d.b[0] > 1 {
		d.fail()
		return false
	}
	is := d.b[0] == 1
	d.b = d.b[1:]
	return is
}

func (d *decoder) bytes() []byte {
	n := d.ulong()
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	out := slices.Clone(d.b[:n])
	d.b = d.b[n:]
	return out
}

func (d *decoder) owner() Owner { return Owner{d.text(), d.text(), d.text()} }

func (d *decoder) text() string { return string(d.bytes()) }
