// Package filter leaves records out at the source: by an adaptor's own keep
// and drop rules, its sample and limit, by switches that people throw while the
// agent runs, and by a persona's rate and quota.
//
// What is kept of a chunk goes on as one chunk, which says which ranges of it were
// dropped, and why. One of which nothing is kept becomes a Dropped fact. Chunks of
// sources without offsets of their own become pieces and facts. The ranges of what
// comes out join up as those that went in, so positions move as without a filter,
// and an audit can tell dropped from lost.
//
// Every decision but a limit's follows from the record and the config alone:
// what is sent again is decided again as before. What was sent once passes
// limits, rates and quotas when it is sent again, and is not counted twice.
package filter
