package tail

import (
	"fmt"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// judge decides what a file is. It only reads: apply does what follows.
func (k *catalog) judge(c *candidate) verdict {
	if s := k.live.byKey[c.info.Key()]; s != nil { // a hard link
		return verdict{is: later, of: s}
	}
	if reason := k.notText(c); reason != "" {
		return verdict{is: skipped, reason: reason}
	}
	if v, ok := k.ownFile(c); ok {
		return v
	}
	replaces, ok := k.replacementOf(c)
	if ok && replaces.is == continues {
		return replaces
	}
	if s, all := k.copyOf(c); s != nil {
		if all {
			return verdict{is: covered, of: s, begin: c.end}
		}
		return verdict{is: continues, of: s}
	}
	if v, ok := k.copyOfPast(c); ok {
		return v
	}
	if ok {
		return replaces
	}
	if c.atEnd {
		begin, err := k.lastLineEnd(c)
		if err != nil {
			return verdict{is: skipped, reason: "can't be read: " + err.Error()}
		}
		return verdict{is: fresh, begin: begin}
	}
	if v, ok := k.copyOfLive(c); ok {
		return v
	}
	if reason := k.age(c); reason != "" {
		return verdict{is: tooOld, reason: reason}
	}
	of, begin, wait := k.forkOf(c)
	if wait {
		return verdict{is: later, of: of}
	}
	return verdict{is: fresh, of: of, begin: begin}
}

// notText says why a file is not read that no stream knows.
func (k *catalog) notText(c *candidate) string {
	// What was followed was text once: what NULs it holds now are a hole.
	if _, ok := k.known[c.info.Key()]; ok || len(k.lost.sameInode(&c.info)) > 0 || len(k.others.sameInode(&c.info)) > 0 {
		return ""
	}
	return skippedHead(k.cfg.Encoding, c.f, c.head, c.end)
}

// ownFile finds the lost stream whose own file it is, or was.
func (k *catalog) ownFile(c *candidate) (v verdict, ok bool) {
	for s := range k.telling {
		if s.ident.SameInode(&c.info) {
			return verdict{is: later, of: s}, true
		}
	}
	for _, s := range append(k.lost.sameInode(&c.info), k.others.sameInode(&c.info)...) {
		if s.reason != "" {
			continue // it was told already that these are other bytes
		}
		same, err := s.sameBytes(c.f, c.info.Size)
		switch {
		case err != nil: // not to be taken for a new file
			return verdict{is: skipped, reason: "can't be read: " + err.Error()}, true
		case s.holder != "":
			return verdict{is: refused, of: s}, true
		case same && !s.ident.Emptied:
			return verdict{is: own, of: s}, true
		}
		return verdict{is: otherBytes, of: s}, true
	}
	return verdict{}, false
}

// age says since when a file that no stream knows has not been modified, where
// that is too long.
func (k *catalog) age(c *candidate) string {
	modified := time.Unix(0, c.info.Modified)
	if k.cfg.IgnoreOlder == 0 || time.Since(modified) <= k.cfg.IgnoreOlder.Std() {
		return ""
	}
	if _, ok := k.known[c.info.Key()]; ok {
		return ""
	}
	return fmt.Sprintf("not modified since %s (ignore_older: %v)", modified.UTC().Format(time.RFC3339), k.cfg.IgnoreOlder)
}

// stillIgnored reports that a file was found too old before and has not been
// touched since. One that may be the copy of a stream's lost file is looked at
// again.
func (k *catalog) stillIgnored(path string, info *ident.Info) bool {
	was, ok := k.ignored[path]
	if !ok || was != (ignored{info.Key(), info.Size, info.Modified}) || len(k.lost.sameInode(info)) > 0 || len(k.others.sameInode(info)) > 0 {
		return false
	}
	again := false
	originals(path, func(original string) bool {
		again = len(k.lost.byPath[original]) > 0
		return again
	})
	return !again
}
