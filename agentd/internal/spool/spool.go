// Package spool keeps, on the agent's disk, what can't be read again.
package spool

// WhenFull says what happens to a record that finds the spool full.
type WhenFull int

const (
	Block      WhenFull = iota // its adaptor waits
	DropOldest                 // the adaptor's oldest records are dropped, and told as facts
)
