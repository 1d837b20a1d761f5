package tail

// verdict is what a file that is new to the run is.
type verdict struct {
	is     kind
	of     *stream // whose file or copy it is; of a fresh one: that it is a fork of, or nil
	past   *stream // the same as it was when it ended, in catalog.past
	begin  int64   // of a new stream; with continues, of what is written to the old file still
	anew   bool    // with continues: the old file's device is gone
	place  bool    // it was where the candidate is now
	exact  bool    // a suspect: it was seen to be the beginning of its original's, byte for byte
	reason string  // why a file is not read
}

type kind int

// In this order judge asks. Where a stream is another adaptor's, and that is gone
// or does not find its file, it is as good as one of the run's own.
const (
	// later: its stream has it, or is about to be lost, or copies of what it was
	// are being looked for: the next look finds it.
	later kind = iota
	// skipped: it is not text, or can't be read.
	skipped
	// refused: it is the file of a stream that another adaptor has.
	refused
	// own: a stored stream's file: inode, birth time, head and tail are the
	// stored ones. Reading goes on.
	own
	// otherBytes: a stored stream's inode with other bytes: it was truncated
	// or replaced while nobody looked. The old stream is lost; what the file
	// is besides is asked again.
	otherBytes
	// continues: a stream's bytes in another inode: the file was replaced by
	// one that has all of its bytes (replace.go), or this is a copy made before
	// a truncation (copytruncate), or the file moved across file systems or
	// restored. The stream goes on there. Of copies are asked for head and tail, and
	// either a name that rotation gives a copy or a full head of 1 KiB: short
	// files with the same bytes are common, and taking one for the other would
	// lose records.
	continues
	// covered: a copy of which all was sent already. A new stream begins at
	// its end.
	covered
	// maybeCopy: the same as a file that is being followed, byte for byte so
	// far, under a name that rotation gives: probably a truncation is about to
	// follow. It waits until that happens, until it differs, or until it was
	// still for 5 s, and is then a file of its own.
	maybeCopy
	// tooOld: a new file that ignore_older keeps waiting.
	tooOld
	// fresh: a new file, or new bytes of an old one: a new stream. Where the file
	// was cut back, it is a fork of the old one.
	fresh
)
