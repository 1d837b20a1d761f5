package datafile

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/akupara/akupara/chunk"
)

// Keys of a data file's key-value metadata.
const (
	// KeyFile is the file's name with its folder, as Name gives it.
	KeyFile = "akupara.file"
	// KeyRanges is the coverage of the file's rows: base64 of a coverage file.
	KeyRanges = "akupara.ranges"
	// KeyRows is the RowSum of all rows, in hexadecimal digits.
	KeyRows = "akupara.rows"
	// KeyCRC is the CRC-32C of the bytes before the footer, a dash, and that of
	// the footer, taken while the value is NoCRC; in 8 hexadecimal digits each.
	KeyCRC = "akupara.crc"

	NoCRC = "00000000-00000000"
)

// CreatedBy is what files that have KeyCRC say made them. Older ones say
// "akupara".
const CreatedBy = "akupara version 2"

// crcField is how a footer has KeyCRC before its value, in Thrift's compact
// protocol: the key, then the next field, a string of that length.
func crcField() []byte { return append([]byte(KeyCRC), 0x18, byte(len(NoCRC))) }

// Seal fills in the checksums of a footer whose metadata has KeyCRC with NoCRC as
// its last pair. body is the CRC-32C of all bytes before the footer.
func Seal(footer []byte, body uint32) error {
	at := bytes.LastIndex(footer, crcField())
	if at < 0 {
		return fmt.Errorf("seal footer: it has no %s", KeyCRC)
	}
	at += len(crcField())
	if string(footer[at:min(at+len(NoCRC), len(footer))]) != NoCRC {
		return fmt.Errorf("seal footer: %s is not %s", KeyCRC, NoCRC)
	}
	copy(footer[at:], value(body, chunk.CRC(footer)))
	return nil
}

// value is KeyCRC's.
func value(body, footer uint32) string { return fmt.Sprintf("%08x-%08x", body, footer) }

// checkSeal returns the CRC of the bytes before the footer, as the footer says.
// sealed is false where it has no checksums: it is of an older version. reason is
// what is wrong with the footer, empty for nothing.
func checkSeal(footer []byte) (body uint32, sealed bool, reason string) {
	at := bytes.LastIndex(footer, crcField())
	if at < 0 {
		if reason = unsealed(footer); reason != "" {
			return 0, true, reason
		}
		return 0, false, ""
	}
	at += len(crcField())
	if at+len(NoCRC) > len(footer) {
		return 0, true, "its footer is cut off"
	}
	said := string(footer[at : at+len(NoCRC)])
	zeroed := bytes.Clone(footer)
	copy(zeroed[at:], NoCRC)
	var foot uint32
	if n, err := fmt.Sscanf(said, "%08x-%08x", &body, &foot); err != nil || n != 2 || said != value(body, foot) {
		return 0, true, fmt.Sprintf("its footer's checksums are %q", said)
	}
	if got := chunk.CRC(zeroed); got != foot {
		return 0, true, fmt.Sprintf("its footer has other bytes than were written: their CRC is %08x, should be %08x", got, foot)
	}
	return body, true, ""
}

// unsealed returns what is wrong with a footer that has no checksums, empty where
// it never had any. It is decoded, as values of an older file may read like keys.
func unsealed(footer []byte) (reason string) {
	const lost = "its footer has lost its checksums"
	defer func() {
		if r := recover(); r != nil { // the decoder trusts its input
			reason = fmt.Sprintf("its footer can't be read: %v", r)
		}
	}()
	var m format.FileMetaData
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), footer, &m); err != nil {
		return fmt.Sprintf("its footer can't be read: %v", err)
	}
	if m.CreatedBy == CreatedBy {
		return lost
	}
	for _, kv := range m.KeyValueMetadata {
		if kv.Key == KeyCRC || kv.Key == KeyFile || kv.Key == KeyRanges || kv.Key == KeyRows {
			return lost
		}
	}
	return ""
}

// tail returns the length of the footer that ends with these 8 bytes, or what is
// wrong with them.
func tail(end []byte, size int64) (n int64, reason string) {
	if string(end[4:]) != magic {
		return 0, "it does not end as a Parquet file does"
	}
	n = int64(binary.LittleEndian.Uint32(end))
	if n > size-tailBytes-int64(len(magic)) {
		return 0, fmt.Sprintf("its footer has %d bytes, the file %d", n, size)
	}
	return n, ""
}

const (
	magic     = "PAR1"
	tailBytes = 8 // the footer's length and the magic
)
