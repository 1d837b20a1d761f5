package coverage

import "sync"

// ReadAhead returns a source that tells what src does, and reads it beside whoever asks.
// stop ends that; when it returns, src is not read any more.
func ReadAhead(src Source) (ahead Source, stop func()) {
	r := &readAhead{batches: make(chan batch, 2), stopped: make(chan struct{}), ended: make(chan struct{})}
	go r.read(src)
	return r, sync.OnceFunc(func() {
		close(r.stopped)
		<-r.ended
	})
}

type readAhead struct {
	batches chan batch
	now     batch
	stopped chan struct{}
	ended   chan struct{}
}

// batch is some pieces, and what is behind them.
type batch struct {
	pieces   []*Piece
	err      error
	panicked any
}

const batchPieces = 64

func (r *readAhead) read(src Source) {
	defer close(r.ended)
	for {
		b := readBatch(src)
		select {
		case r.batches <- b:
		case <-r.stopped:
			return
		}
		if b.err != nil || b.panicked != nil {
			return
		}
	}
}

func readBatch(src Source) (b batch) {
	defer func() { b.panicked = recover() }() // whoever asks panics, who may know how to go on
	b.pieces = make([]*Piece, 0, batchPieces)
	for len(b.pieces) < batchPieces {
		var p *Piece
		if p, b.err = src.Next(); b.err != nil {
			break
		}
		b.pieces = append(b.pieces, p)
	}
	return b
}

// Next implements Source.
func (r *readAhead) Next() (*Piece, error) {
	for len(r.now.pieces) == 0 {
		switch {
		case r.now.panicked != nil:
			panic(r.now.panicked)
		case r.now.err != nil:
			return nil, r.now.err
		}
		r.now = <-r.batches
	}
	p := r.now.pieces[0]
	r.now.pieces = r.now.pieces[1:]
	return p, nil
}
