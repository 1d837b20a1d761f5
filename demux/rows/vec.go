package rows

// vec is a growing sequence in blocks: what it holds is not moved as it grows,
// but for its first block.
type vec[T any] struct {
	blocks [][]T // whole ones
	tail   []T   // what is in use of the last one
}

const (
	vecShift = 13
	vecBlock = 1 << vecShift
)

func (v *vec[T]) len() int {
	if len(v.blocks) == 0 {
		return 0
	}
	return (len(v.blocks)-1)<<vecShift + len(v.tail)
}

// at returns the i-th value. i is below len.
func (v *vec[T]) at(i int) T { return v.blocks[i>>vecShift][i&(vecBlock-1)] }

func (v *vec[T]) set(i int, x T) { v.blocks[i>>vecShift][i&(vecBlock-1)] = x }

func (v *vec[T]) add(m *memory, p *pool[T], x T) {
	if len(v.tail) == cap(v.tail) {
		v.grow(m, p)
	}
	v.tail = append(v.tail, x)
}

func (v *vec[T]) grow(m *memory, p *pool[T]) {
	block, instead := p.grow(m, v.tail)
	if instead && len(v.blocks) > 0 {
		v.blocks[0], v.tail = block, block[:len(v.tail)]
		return
	}
	v.blocks, v.tail = append(v.blocks, block), block[:0]
}

// each calls do with the values, in order, part by part.
func (v *vec[T]) each(do func([]T)) {
	for i := range len(v.blocks) - 1 {
		do(v.blocks[i])
	}
	do(v.tail)
}

// addAll adds all values of another.
func (v *vec[T]) addAll(m *memory, p *pool[T], from *vec[T]) {
	from.each(func(x []T) {
		for len(x) > 0 {
			if len(v.tail) == cap(v.tail) {
				v.grow(m, p)
			}
			n := min(cap(v.tail)-len(v.tail), len(x))
			v.tail = append(v.tail, x[:n]...)
			x = x[n:]
		}
	})
}

// addEach adds what do makes of each value of another.
func (v *vec[T]) addEach(m *memory, p *pool[T], from *vec[T], do func(T) T) {
	from.each(func(x []T) {
		for _, t := range x {
			v.add(m, p, do(t))
		}
	})
}

// reset drops all values, after the memory's trim.
func (v *vec[T]) reset(p *pool[T]) {
	p.giveBack(v.blocks)
	clear(v.blocks)
	v.blocks, v.tail = v.blocks[:0], nil
}

// drop gives all blocks back, at any time.
func (v *vec[T]) drop(m *memory, p *pool[T]) {
	for _, b := range v.blocks {
		m.used -= int64(len(b)) * p.size
	}
	v.reset(p)
}
