package parse

import (
	"bytes"
	"math"
	"strconv"
)

// number reads a number. What neither a long nor a double holds exactly is
// text.
func (p *scanner) number() (kind, uint64, error) {
	s, start := p.s, p.i
	i := start
	if i < len(s) && s[i] == '-' {
		i++
	}
	var mant uint64
	intAt := i
	for ; i < len(s) && s[i]-'0' < 10; i++ {
		mant = mant*10 + uint64(s[i]-'0')
	}
	nd := i - intAt
	if nd == 0 {
		if k, num, ok := p.noNumber(start, i); ok {
			return k, num, nil
		}
	}
	if nd == 0 || nd > 1 && s[intAt] == '0' {
		p.i = min(i, len(s))
		return 0, 0, p.unexpected()
	}
	frac := 0
	if i < len(s) && s[i] == '.' {
		fracAt := i + 1
		for i++; i < len(s) && s[i]-'0' < 10; i++ {
			mant = mant*10 + uint64(s[i]-'0')
		}
		if frac = i - fracAt; frac == 0 {
			p.i = i
			return 0, 0, p.unexpected()
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		return p.exponent(start, i)
	}
	p.i = i
	neg := s[start] == '-'
	if frac == 0 && !(neg && mant == 0) {
		if nd <= 18 {
			if neg {
				return kindLong, uint64(-int64(mant)), nil
			}
			return kindLong, mant, nil
		}
		if v, err := strconv.ParseInt(string(s[start:i]), 10, 64); err == nil {
			return kindLong, uint64(v), nil
		}
		return kindText, 0, nil // beyond 64 bits
	}
	if nd+frac <= 15 && frac <= 22 {
		// Both are exact as doubles, so their quotient is the nearest one.
		f := float64(mant) / pow10(frac)
		if neg {
			f = -f
		}
		return kindDouble, math.Float64bits(f), nil
	}
	return p.float(start)
}

// noNumber reads NaN or, after a sign or without, Infinity at s[i:].
func (p *scanner) noNumber(start, i int) (kind, uint64, bool) {
	for word, v := range map[string]float64{"NaN": math.NaN(), "Infinity": math.Inf(1)} {
		if !bytes.HasPrefix(p.s[i:], []byte(word)) || word == "NaN" && i > start {
			continue
		}
		if i > start {
			v = -v
		}
		p.i = i + len(word)
		return kindDouble, math.Float64bits(v), true
	}
	return 0, 0, false
}

func pow10(n int) float64 {
	return [...]float64{
		1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
		1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
	}[n]
}

func (p *scanner) exponent(start, i int) (kind, uint64, error) {
	s := p.s
	i++
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		i++
	}
	at := i
	for i < len(s) && s[i]-'0' < 10 {
		i++
	}
	p.i = i
	if i == at {
		return 0, 0, p.unexpected()
	}
	return p.float(start)
}

// float reads s[start:p.i] as a double, or as text where the double nearest
// to it would be written with other digits.
func (p *scanner) float(start int) (kind, uint64, error) {
	raw := p.s[start:p.i]
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return kindText, 0, nil //nolint:nilerr // what is no number is text
	}
	var shortest [32]byte
	if len(raw) > 40 || !sameDigits(raw, strconv.AppendFloat(shortest[:0], f, 'e', -1, 64)) {
		return kindText, 0, nil
	}
	return kindDouble, math.Float64bits(f), nil
}

// sameDigits reports whether a number has the digits of another one, which has no
// zeros at its ends, but for zeros at its own.
func sameDigits(num, shortest []byte) bool {
	rest := significant(shortest)
	for num = significant(num); len(num) > 0 && num[0] != 'e' && num[0] != 'E'; num = num[1:] {
		switch {
		case num[0] == '.':
		case len(rest) > 0 && rest[0] == '.' && len(rest) > 1 && rest[1] == num[0]:
			rest = rest[2:]
		case len(rest) > 0 && rest[0] == num[0]:
			rest = rest[1:]
		case num[0] != '0' || len(rest) > 0 && rest[0] != 'e':
			return false
		}
	}
	return len(rest) == 0 || rest[0] == 'e'
}

// significant returns a number from its first digit on that is not 0.
func significant(num []byte) []byte {
	return bytes.TrimLeft(num, "-0.")
}

func (d *field) double() float64 { return math.Float64frombits(d.num) }
