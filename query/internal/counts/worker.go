package counts

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
)

// worker counts one row group after the other.
type worker struct {
	*tally
	ts    []int64
	codes []uint32 // of each row, the number of its combination of texts
	local []uint32 // how often a combination is in a span
}

// guarded is count, in which damage is no fault of ours.
func (w *worker) guarded(j job) (err error) {
	defer func() {
		if r := recover(); r != nil { // the decoders trust their input
			err = fmt.Errorf("%w: %v", ErrUnfit, r)
		}
	}()
	if err := w.count(j); err != nil {
		return fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	return nil
}

func (w *worker) count(j job) error {
	combos, err := w.readTexts(j)
	if err != nil {
		return err
	}
	if w.span(j.min) == w.span(j.max) && j.min >= w.From && j.max < w.To {
		w.whole.Add(1)
		return w.add(j.min, combos, 0, int(j.rows))
	}
	if err := w.readTimes(j); err != nil {
		return err
	}
	for at := 0; at < len(w.ts); {
		ts, from := w.ts[at], at
		lo, hi := w.within(ts)
		for at < len(w.ts) && w.ts[at] >= lo && w.ts[at] < hi {
			at++
		}
		if at == from {
			at++ // outside of the query's times
			continue
		}
		if err := w.add(ts, combos, from, at); err != nil {
			return err
		}
	}
	return nil
}

// span returns the number of the span that a time is in.
func (w *worker) span(ts int64) int64 {
	if w.Width == 0 {
		return 0
	}
	return ts / w.Width
}

// within returns the part of a time's span that counts.
func (w *worker) within(ts int64) (lo, hi int64) {
	if w.Width == 0 {
		return w.From, w.To
	}
	at := ts - ts%w.Width
	return max(at, w.From), min(at+w.Width, w.To)
}

// add counts the rows [from, to), which are of the span of ts.
func (w *worker) add(ts int64, combos []combo, from, to int) error {
	if len(w.Columns) > 0 {
		for _, c := range w.codes[from:to] {
			w.local[c]++
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.Columns) == 0 {
		w.put(ts, combos[0], int64(to-from))
	} else {
		for _, c := range w.codes[from:to] {
			if n := w.local[c]; n > 0 {
				w.local[c] = 0
				w.put(ts, combos[c], int64(n))
			}
		}
	}
	if len(w.counts) > maxCounts {
		return ErrUnfit
	}
	return nil
}

// put counts n rows of the span of ts, and of these texts.
func (w *worker) put(ts int64, texts combo, n int64) {
	k := key{w.span(ts), texts}
	v, ok := w.counts[k]
	if !ok {
		v.ts = ts
	}
	v.rows += n
	w.counts[k] = v
}

func (w *worker) readTimes(j job) error {
	w.ts = w.ts[:0]
	err := eachPage(j.ts, func(p parquet.Page) error {
		if p.NumNulls() > 0 || p.Dictionary() != nil {
			return ErrUnfit
		}
		data := p.Data()
		w.ts = append(w.ts, data.Int64()...)
		if int64(len(w.ts)) > j.rows {
			return ErrUnfit
		}
		return nil
	})
	if err == nil && int64(len(w.ts)) != j.rows {
		err = ErrUnfit
	}
	return err
}

// combo are the texts of a combination, by their numbers.
type combo = [maxColumns]int32

// readTexts sets the codes of a row group's rows, and returns what they stand for.
func (w *worker) readTexts(j job) ([]combo, error) {
	combos := make([]combo, 1)
	if len(w.Columns) == 0 {
		return combos, nil
	}
	w.codes = append(w.codes[:0], make([]uint32, j.rows)...)
	for i, chunk := range j.columns {
		texts := []int32{None} // by code
		if chunk != nil {
			var err error
			if texts, err = w.readColumn(i, chunk, uint32(len(combos))); err != nil {
				return nil, err
			}
		}
		if len(combos)*len(texts) > maxCombined {
			return nil, ErrUnfit
		}
		more := make([]combo, 0, len(combos)*len(texts))
		for _, text := range texts {
			for _, c := range combos {
				c[i] = text
				more = append(more, c)
			}
		}
		combos = more
	}
	if len(w.local) < len(combos) {
		w.local = make([]uint32, len(combos))
	}
	return combos, nil
}

// readColumn adds to each row's code step times that of its text, and returns the
// texts by code: the first one is none.
func (w *worker) readColumn(i int, chunk parquet.ColumnChunk, step uint32) ([]int32, error) {
	texts, at := []int32{None}, 0
	var dict parquet.Dictionary
	err := eachPage(chunk, func(p parquet.Page) error {
		d := p.Dictionary()
		if d == nil && p.NumNulls() == p.NumRows() {
			at += int(p.NumRows())
			return nil
		}
		if d == nil || dict != nil && d.Len() != dict.Len() || at+int(p.NumRows()) > len(w.codes) {
			return ErrUnfit
		}
		if dict == nil {
			dict = d
			var err error
			if texts, err = w.intern(i, d, texts); err != nil {
				return err
			}
		}
		data := p.Data()
		index := data.Int32()
		if slices.ContainsFunc(index, func(n int32) bool { return n < 0 || int(n) >= d.Len() }) {
			return ErrUnfit // of a damaged file: nothing else checks it
		}
		codes := w.codes[at : at+int(p.NumRows())]
		at += len(codes)
		if len(index) == len(codes) {
			for row, n := range index {
				codes[row] += step * uint32(n+1)
			}
			return nil
		}
		next := 0
		for row, level := range p.DefinitionLevels() {
			if level > 0 {
				codes[row] += step * uint32(index[next]+1)
				next++
			}
		}
		return nil
	})
	if err == nil && at != len(w.codes) {
		err = ErrUnfit
	}
	return texts, err
}

// intern appends the numbers of a dictionary's texts.
func (w *worker) intern(i int, d parquet.Dictionary, texts []int32) ([]int32, error) {
	if d.Type().Kind() != parquet.ByteArray || d.Len() >= maxCombined {
		return nil, ErrUnfit
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := range d.Len() {
		v := string(d.Index(int32(n)).ByteArray())
		id, ok := w.known[i][v]
		if !ok {
			if w.bytes += len(v); w.bytes > maxTextBytes || strings.IndexByte(v, 0) >= 0 || !utf8.ValidString(v) {
				return nil, ErrUnfit // no statement can have them
			}
			id = int32(len(w.texts[i]))
			w.known[i][v] = id
			w.texts[i] = append(w.texts[i], v)
		}
		texts = append(texts, id)
	}
	if len(w.texts[i]) > maxTexts {
		return nil, ErrUnfit
	}
	return texts, nil
}

func eachPage(c parquet.ColumnChunk, fn func(parquet.Page) error) error {
	pages := c.Pages()
	defer pages.Close()
	for {
		p, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		err = fn(p)
		parquet.Release(p)
		if err != nil {
			return err
		}
	}
}
