package stride

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func decode(t *testing.T, frame []byte) []byte {
	t.Helper()
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	out, err := d.DecodeAll(frame, nil)
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	return out
}

// rows makes n rows with bytes from the alphabet, equal from From to To.
func rows(r Rows, n int, alphabet string, rnd *rand.Rand) []byte {
	data := make([]byte, r.Head+n*r.Width)
	for i := range data {
		data[i] = alphabet[rnd.IntN(len(alphabet))]
		if at := i - r.Head - r.Width; at >= 0 && at%r.Width >= r.From && at%r.Width < r.To {
			data[i] = data[i-r.Width]
		}
	}
	return data
}

func TestDecoderGivesTheRowsBack(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	e, d := &Encoder{}, &Decoder{}
	alphabets := []string{"0123456789abcdef", "x", string(all())}
	for i, width := range []int{4, 5, 8, 17, 20, 26, 36, 67, 68, 100, 132, 600, 1500, maxWidth} {
		for j, r := range []Rows{{0, width, 0, 3}, {7, width, 1, 4}, {maxHead, width, width - 3, width}, {3, width, 0, width - 1}} {
			for k, n := range []int{minRows, 200, 300_000/width + 3} {
				alphabet := alphabets[(i+j+k)%len(alphabets)]
				data := rows(r, n, alphabet, rnd)
				if !r.Fits(len(data)) {
					t.Fatalf("%+v of %d bytes does not fit", r, len(data))
				}
				frame := e.Encode(nil, data, r)
				if got := decode(t, frame); !bytes.Equal(got, data) {
					t.Fatalf("%d rows of %+v from %d letters: got other bytes back", n, r, len(alphabet))
				}
				got, ok := d.Unpack([]byte("before"), frame)
				if ok && string(got) != "before"+string(data) {
					t.Fatalf("%d rows of %+v from %d letters: unpacked others", n, r, len(alphabet))
				}
				if !ok && alphabet != "x" { // all literals alike are no more than one byte
					t.Fatalf("%d rows of %+v from %d letters: were not unpacked", n, r, len(alphabet))
				}
			}
		}
	}
}

func TestRowsAreTakenOutOfTheirFrame(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	e, d := &Encoder{}, &Decoder{}
	for i, width := range []int{4, 8, 20, 36, 67, 600, maxWidth} {
		for j, r := range []Rows{{0, width, 0, 3}, {7, width, 0, 4}, {maxHead, width, 0, width - 1}} {
			for k, n := range []int{minRows, 200, 300_000/width + 3} {
				data := rows(r, n, []string{"0123456789abcdef", "x", string(all())}[(i+j+k)%3], rnd)
				if !r.Fits(len(data)) {
					continue
				}
				frame, got := e.Encode(nil, data, r), data[:r.Head:r.Head]
				equal, own, ok := d.Rows(frame, n)
				for k := 0; ok && k < n; k++ {
					got = append(append(got, equal...), own[k*len(own)/n:][:len(own)/n]...)
				}
				if ok && !bytes.Equal(got, data) {
					t.Fatalf("%d rows of %+v: got others back", n, r)
				}
				if !ok && (i+j+k)%3 != 1 { // all literals alike are no more than one byte
					t.Fatalf("%d rows of %+v: got none back", n, r)
				}
				for what, other := range map[string][]byte{"a frame of one more": e.Encode(nil, data[:len(data)-width], r), "a frame that is cut off": frame[:len(frame)-1], "stored bytes": Store(nil, data)} {
					if _, _, ok := d.Rows(other, n); ok && n > minRows {
						t.Fatalf("%d rows of %+v: got rows out of %s", n, r, what)
					}
				}
			}
		}
	}
}

func TestStoredBytesAreGivenBack(t *testing.T) {
	for _, n := range []int{0, 1, 127 << 10, 128 << 10, 300_000} {
		data := bytes.Repeat([]byte("ab"), n)[:n]
		if got := decode(t, Store(nil, data)); !bytes.Equal(got, data) {
			t.Fatalf("got other %d bytes back for %d", len(got), n)
		}
	}
}

func all() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func TestRandomIdentifiersTakeTheirEntropy(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	r := Rows{Head: 7, Width: 36, From: 0, To: 4}
	data := rows(r, 30_000, "0123456789abcdef", rnd)
	got := (&Encoder{}).Encode(nil, data, r)
	if want := 30_000 * 17; len(got) > want {
		t.Errorf("32 hexadecimal digits take %d bytes in %d rows, want at most %d", len(got), 30_000, want)
	}
}

func FuzzEncode(f *testing.F) {
	f.Add([]byte("some bytes"), uint16(8), uint16(3), uint16(8), uint16(5), uint16(100))
	f.Fuzz(func(t *testing.T, seed []byte, width, from, to, head, n uint16) {
		r := Rows{Head: int(head), Width: int(width), From: int(from), To: int(to)}
		var key [32]byte
		copy(key[:], seed)
		size := int(head) + int(n)*int(width)
		if !r.Fits(size) || size > 1<<20 {
			t.Skip()
		}
		alphabet := string(seed) + "0"
		data := rows(r, int(n), alphabet, rand.New(rand.NewPCG(binary.LittleEndian.Uint64(key[:]), 1)))
		frame := (&Encoder{}).Encode(nil, data, r)
		if got := decode(t, frame); !bytes.Equal(got, data) {
			t.Fatal("got other bytes back")
		}
		if got, ok := (&Decoder{}).Unpack(nil, frame); ok && !bytes.Equal(got, data) {
			t.Fatal("unpacked other bytes")
		}
	})
}

func FuzzUnpack(f *testing.F) {
	r := Rows{Head: 3, Width: 8, From: 3, To: 8}
	f.Add((&Encoder{}).Encode(nil, rows(r, 40, "0123456789abcdef", rand.New(rand.NewPCG(1, 2))), r))
	f.Fuzz(func(_ *testing.T, frame []byte) { (&Decoder{}).Unpack(nil, frame) })
}
