package filter

// run is neighbours that are all kept, or all dropped.
type run struct {
	first, last int // in the body
	records     int64
	why, more   int // what caused it: the pass's shares from why to more; none: it is kept
}

func (r *run) kept() bool { return r.why == r.more }

// share is what one cause made of a run, without what came again.
type share struct {
	of             *cause
	records, bytes int64
}

// waits reports whether the adaptor's own limit makes it wait.
func (f *Filter) waits() bool { return f.limit != nil && f.cfg.Limit.WhenOver == "wait" }

// atMost bounds the runs by a limit a second: what goes at once is a second's
// worth.
func (p *pass) atMost(bytes, records int64) {
	less := func(most *int64, n int64) {
		if n > 0 && (*most == 0 || n < *most) {
			*most = n
		}
	}
	less(&p.most.bytes, bytes)
	less(&p.most.records, records)
}

// full reports whether a run of kept records that ends here is more than may go
// at once.
func (p *pass) full(r *run, last int) bool {
	return !p.again(last) && (p.most.bytes > 0 && int64(last-r.first) > p.most.bytes ||
		p.most.records > 0 && r.records >= p.most.records)
}

// add puts a record to the run that it belongs to.
func (p *pass) add(first, last int, why *cause) {
	n := len(p.runs)
	if n == 0 || p.runs[n-1].kept() != (why == nil) || why == nil && p.full(&p.runs[n-1], last) {
		p.runs = append(p.runs, run{first: first, why: len(p.shares), more: len(p.shares)})
		n++
	}
	r := &p.runs[n-1]
	r.last = last
	again := p.again(last)
	if !again {
		r.records++
	}
	if why == nil {
		return
	}
	i := r.more - 1
	for i >= r.why && p.shares[i].of != why {
		i--
	}
	if i < r.why {
		p.shares = append(p.shares, share{of: why})
		i = r.more
		r.more++
	}
	if !again {
		p.shares[i].records++
		p.shares[i].bytes += int64(last - first)
	}
}
