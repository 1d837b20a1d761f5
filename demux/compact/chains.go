package compact

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/demux/table"
)

const (
	// maxChains bounds the files that are made side by side of one span of time: of
	// two each at least on average, and of more in the hour that goes on, whose rows
	// would be merged too often else.
	maxChains  = 3
	freshChain = 5
	// Fewer bytes are merged into one file whatever that costs.
	chainedBytes = 4 << 20
	// slackShare of a file's span of time may overlap the end of the file before it:
	// however few rows do, pages of each column are made anew. Files of less than
	// partedRows have one page of each, so none of theirs may.
	slackShare = 64
	partedRows = 2048
)

// chain is a set of files that follow each other.
type chain struct {
	files []table.File // by MaxTS
	until time.Time    // the last MaxTS
}

// chains parts files whose times overlap for long into up to maxChains, in each of
// which they follow each other. Where the rows of two files interleave, each page of
// theirs is to be decoded and written anew; where those of one come after those of
// the other, pages are copied. Collectors that seal at different moments, or hosts
// whose lines come late, make that each file overlaps the next one, but few of them
// the one after it.
func chains(l level, files []table.File) [][]table.File {
	most := min(maxChains, len(files)/2)
	if l == fresh {
		most = min(maxChains, len(files)/freshChain)
	}
	if most < 2 || bytesIn(files) < chainedBytes {
		return [][]table.File{files}
	}
	var all []chain
	for _, f := range slices.SortedFunc(slices.Values(files), func(a, b table.File) int {
		return cmp.Or(a.MaxTS.Compare(b.MaxTS), strings.Compare(a.Path, b.Path))
	}) {
		c := fitting(all, f, most)
		if c < 0 {
			c = len(all)
			all = append(all, chain{})
		}
		all[c].files = append(all[c].files, f)
		all[c].until = f.MaxTS
	}
	out := make([][]table.File, len(all))
	for i := range all {
		out[i] = all[i].files
	}
	return out
}

// fitting returns the chain whose end the file overlaps little; where there is none
// and most have been begun, the one that it overlaps least. -1 is a new one.
func fitting(all []chain, f table.File, most int) int {
	least, slack := -1, f.MaxTS.Sub(f.MinTS)/slackShare
	if f.Records < partedRows {
		slack = -1 // they follow each other
	}
	for i := range all {
		if all[i].until.Sub(f.MinTS) <= slack {
			return i
		}
		if least < 0 || all[i].until.Before(all[least].until) {
			least = i
		}
	}
	if len(all) < most {
		return -1
	}
	return least
}

func bytesIn(files []table.File) (n int64) {
	for _, f := range files {
		n += f.Size
	}
	return n
}
