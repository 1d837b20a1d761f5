package table

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/akupara/akupara/chunk"
)

// sum is what a small file was written with.
type sum struct {
	size int64
	crc  uint32
}

func sumOf(b []byte) sum { return sum{int64(len(b)), chunk.CRC(b)} }

// check returns what is wrong with a file's bytes, "" for nothing.
func (s sum) check(b []byte) string {
	got := sumOf(b)
	switch {
	case got.size != s.size:
		return fmt.Sprintf("has %d bytes, should have %d", got.size, s.size)
	case got.crc != s.crc:
		return fmt.Sprintf("has other bytes than were written: their CRC is %08x, should be %08x", got.crc, s.crc)
	}
	return ""
}

// sums are the current snapshot's manifest list and the manifests it names, by
// their names in metadata/.
type sums map[string]sum

// propManifests lists them as "NAME:BYTES:CRC,…": Avro files have no checksums.
const propManifests = "akupara.manifests"

var sumRE = regexp.MustCompile(`^([^:,/]+):([0-9]{1,18}):([0-9a-f]{8})$`)

func parseSums(prop string) (sums, error) {
	out := sums{}
	if prop == "" {
		return out, nil
	}
	for entry := range strings.SplitSeq(prop, ",") {
		m := sumRE.FindStringSubmatch(entry)
		if m == nil {
			return nil, fmt.Errorf("property %s: %q is not NAME:BYTES:CRC", propManifests, entry)
		}
		size, _ := strconv.ParseInt(m[2], 10, 64) // the expression lets numbers through alone
		crc, _ := strconv.ParseUint(m[3], 16, 32)
		out[m[1]] = sum{size, uint32(crc)}
	}
	return out, nil
}

func (s sums) String() string {
	entries := make([]string, 0, len(s))
	for _, name := range slices.Sorted(maps.Keys(s)) {
		entries = append(entries, fmt.Sprintf("%s:%d:%08x", name, s[name].size, s[name].crc))
	}
	return strings.Join(entries, ",")
}

// of returns the sum of a file, by its path in the store.
func (s sums) of(p string) (sum, bool) {
	x, ok := s[path.Base(p)]
	return x, ok && path.Base(path.Dir(p)) == "metadata"
}
