package coverage

import "strings"

// ForkMark is in the ids of streams whose bytes differ at the same offsets:
// "S~x" is a fork of S. All forks of a stream, and theirs, are its family. No id
// has a mark of its own.
const ForkMark = "~"

// CutBack is the cause of a fork that an agent opened.
const CutBack = "the file was cut back and written on"

// LeftOut is the cause of a fork of bytes that came when a chunk had said that a
// filter dropped them. They differ from nothing.
const LeftOut = "a filter had dropped them when they were first sent"

// Base returns the stream that a fork is one of, "" for a stream that is none.
func Base(id string) string {
	if i := strings.LastIndex(id, ForkMark); i > 0 {
		return id[:i]
	}
	return ""
}

// Root returns the stream that a family begins with.
func Root(id string) string {
	if i := strings.Index(id, ForkMark); i > 0 {
		return id[:i]
	}
	return id
}
