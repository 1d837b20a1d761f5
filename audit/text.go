package audit

import (
	"fmt"
	"io"
	"strings"
)

// maxShown bounds what the text form lists of each kind; JSON has all.
const maxShown = 50

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d streams, %d records, %s in the tables\n", r.Streams, r.Records, size(r.Bytes))
	if r.CheckedFiles > 0 {
		fmt.Fprintf(&b, "all bytes of %s (%s) were read\n", count(r.CheckedFiles, "file"), size(r.CheckedBytes))
	}
	if r.Unpublished > 0 {
		fmt.Fprintf(&b, "%s are in sink files that no table holds yet; the next demux run takes them in\n", size(r.Unpublished))
	}
	section(&b, r.Gaps, int64(len(r.Gaps)), length(r.Gaps), "missing: no table, no sink file holds them, and nothing explains it")
	section(&b, r.Overlaps, r.OverlapsTotal, length(r.Overlaps), "written twice")
	section(&b, r.Hidden, r.HiddenTotal, length(r.Hidden), "counted as held, and no data file has rows of them; \"akupara repair TYPE\" shows what can be mended")
	section(&b, r.Uncovered, r.UncoveredTotal, length(r.Uncovered), "in data files, and not counted as held: what comes again of them would be written twice; \"akupara repair TYPE\" shows what can be mended")
	section(&b, r.Lost, int64(len(r.Lost)), length(r.Lost), "lost: the source destroyed them before they could be read")
	section(&b, r.Dropped, r.DroppedTotal, r.DroppedBytes-r.FilteredBytes, "dropped by a filter or a full spool")
	r.writeFiltered(&b)
	section(&b, r.PerhapsDoubled, r.PerhapsDoubledTotal, r.PerhapsDoubledBytes, "perhaps doubled: what they repeat, if anything, could not be compared")
	r.writeForks(&b)
	r.writeQuarantined(&b)
	r.writeTroubles(&b)
	if r.OK() {
		b.WriteString("no gaps, no overlaps\n")
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) writeFiltered(b *strings.Builder) {
	if len(r.Filtered) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s of %s dropped by filters, record by record\n", size(r.FilteredBytes), count(r.FilteredTotal, "stream"))
	for _, f := range r.Filtered[:min(len(r.Filtered), maxShown)] {
		fmt.Fprintf(b, "  %s %s %s  stream %s  %s by %s\n", f.Type, f.Host, f.Source, f.Stream, size(f.Bytes), f.By)
	}
	if n := r.FilteredTotal - maxShown; n > 0 {
		fmt.Fprintf(b, "  and %d more; --json has %d of them\n", n, len(r.Filtered)-maxShown)
	}
}

func (r *Report) writeForks(b *strings.Builder) {
	if len(r.Forks) == 0 {
		return
	}
	bytes := int64(0)
	for _, f := range r.Forks {
		bytes += f.Bytes
	}
	verb := "forks have"
	if r.ForksTotal == 1 {
		verb = "fork has"
	}
	fmt.Fprintf(b, "\n%d %s other bytes (%s) than the stream that it is of has at the same offsets; all of them are rows\n", r.ForksTotal, verb, size(bytes))
	for _, f := range r.Forks[:min(len(r.Forks), maxShown)] {
		fmt.Fprintf(b, "  %s %s %s  stream %s  from byte %d on (%s): %s\n", f.Type, f.Host, f.Source, f.Stream, f.First, size(f.Bytes), f.Cause)
	}
	if n := r.ForksTotal - maxShown; n > 0 {
		fmt.Fprintf(b, "  and %d more; --json has %d of them\n", n, len(r.Forks)-maxShown)
	}
}

func length(list []Range) (bytes int64) {
	for _, r := range list {
		bytes += r.Last - r.First
	}
	return bytes
}

func section(b *strings.Builder, list []Range, total, bytes int64, what string) {
	if len(list) == 0 {
		return
	}
	noun := "ranges"
	if total == 1 {
		noun = "range"
	}
	fmt.Fprintf(b, "\n%d %s (%s) %s\n", total, noun, size(bytes), what)
	for _, r := range list[:min(len(list), maxShown)] {
		fmt.Fprintf(b, "  %s %s %s  stream %s  bytes %d to %d (%s)\n", r.Type, r.Host, r.Source, r.Stream, r.First, r.Last, size(r.Last-r.First))
	}
	if n := total - maxShown; n > 0 {
		fmt.Fprintf(b, "  and %d more; --json has %d of them\n", n, len(list)-maxShown)
	}
}

func size(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d bytes", n)
	}
	f, u := float64(n), -1
	for f >= 1024 && u < len(units)-1 {
		f /= 1024
		u++
	}
	return fmt.Sprintf("%.1f %ciB", f, units[u])
}
