package tail

// Lag tells what Status tells in LagBytes and LastErr, for less: where there are
// many files it is asked for every few seconds.
func (a *Adaptor) Lag() (bytes int64, lastErr string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.run == nil {
		return a.status.LagBytes, a.status.LastErr
	}
	b := a.run.board
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.streams {
		bytes += max(0, s.size.Load()-s.settled.Load())
	}
	return bytes, b.lastErr
}
