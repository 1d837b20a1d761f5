package adaptortest

// Rewind sets a stream's stored Settled back, as the agent does for people
// while no run is on.
func (r *Recorder) Rewind(stream string, to int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.known[stream]; s != nil {
		s.Settled = min(s.Settled, to)
	}
}
