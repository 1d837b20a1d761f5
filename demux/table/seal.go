package table

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"

	"github.com/akupara/akupara/chunk"
)

// Properties by which a metadata file checks itself: the number of its version,
// so that an older one in a newer's place is found, and the CRC-32C of its
// bytes, computed while these 8 digits are 0. Files of older versions have none.
const (
	propVersion = "akupara.version"
	propCRC     = "akupara.crc"
	noCRC       = "00000000"
)

// They are looked for in the bytes: a flipped bit may have made other keys of
// them, or of "properties".
var (
	crcRE     = regexp.MustCompile(`"` + regexp.QuoteMeta(propCRC) + `"\s*:\s*"([0-9a-f]{8})"`)
	versionRE = regexp.MustCompile(`"` + regexp.QuoteMeta(propVersion) + `"\s*:\s*"([0-9]{1,18})"`)
)

// seal fills in the CRC of a metadata file that has propCRC with noCRC.
func seal(b []byte) error {
	at := crcRE.FindAllSubmatchIndex(b, 2)
	if len(at) != 1 || string(b[at[0][2]:at[0][3]]) != noCRC {
		return fmt.Errorf("seal metadata: %d places for its checksum, want 1", len(at))
	}
	copy(b[at[0][2]:], fmt.Appendf(nil, "%08x", chunk.CRC(b)))
	return nil
}

// checkSeal returns what is wrong with the bytes of version n, "" for nothing
// that can be told.
func checkSeal(b []byte, n int) string {
	at := crcRE.FindAllSubmatchIndex(b, 2)
	if len(at) == 0 && !bytes.Contains(b, []byte(propVersion)) && !bytes.Contains(b, []byte(propCRC)) {
		return ""
	}
	if len(at) != 1 {
		return "has no checksum, or several"
	}
	said := string(b[at[0][2]:at[0][3]])
	zeroed := bytes.Clone(b)
	copy(zeroed[at[0][2]:], noCRC)
	if got := fmt.Sprintf("%08x", chunk.CRC(zeroed)); got != said {
		return fmt.Sprintf("has other bytes than were written: their CRC is %s, should be %s", got, said)
	}
	m := versionRE.FindSubmatch(b)
	if m == nil {
		return "does not say which version it is"
	}
	if is := string(m[1]); is != strconv.Itoa(n) {
		return fmt.Sprintf("is version %s in the place of version %d", is, n)
	}
	return ""
}
