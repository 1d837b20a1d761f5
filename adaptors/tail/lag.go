package tail

// Lag implements adaptors.Lagger.
func (a *Adaptor) Lag() (bytes int64, lastErr string) { return a.board.Lag() }
