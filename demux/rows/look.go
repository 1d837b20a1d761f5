package rows

// At returns the time of the i-th row, in microseconds, and its seq. The last
// row's time may still change.
func (b *Builder) At(i int) (ts, seq int64) { return b.ts.at(i), b.seq.at(i) }
