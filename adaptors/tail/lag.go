package tail

// Lag tells what Status tells in LagBytes and LastErr, for less: where there are
// many files it is asked for every few seconds.
func (a *Adaptor) Lag() (bytes int64, lastErr string) { return a.board.Lag() }
