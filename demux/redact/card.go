package redact

// minCard and maxCard are how many digits a card's number has.
const (
	minCard = 13
	maxCard = 19
)

// card finds the number of a payment card: 13 to 19 digits in one, or in groups as they
// are printed, with one space or hyphen between; the first is from 2 to 6, as those of
// payment cards are (ISO/IEC 7812), and the last is right by Luhn.
func card(s []byte, from int) (first, last int) {
	for i := from; i+minCard <= len(s); {
		// Of two neighbours within a number, one at least is a digit.
		if !isDigit(s[i+minCard-2]) && !isDigit(s[i+minCard-1]) {
			i += minCard
			continue
		}
		if !isDigit(s[i]) {
			i++
			continue
		}
		if i == from || i == 0 || !isDigit(s[i-1]) {
			if n := cardAt(s, i); n > 0 {
				return i, i + n
			}
		}
		for i < len(s) && isDigit(s[i]) {
			i++
		}
	}
	return -1, -1
}

// cardAt returns the length of the number that begins at i.
func cardAt(s []byte, i int) int {
	if c := before(s, i); s[i] < '2' || s[i] > '6' || inWord(c) && c != '_' || c == '.' && i > 1 && isDigit(s[i-2]) {
		return 0
	}
	var digits [maxCard]byte
	var groups [6]int
	n, group, best := 0, 0, 0
	sep := byte(0)
	for k := i; n < maxCard; k++ {
		c := at(s, k)
		if isDigit(c) {
			digits[n] = c - '0'
			n++
			groups[group]++
			if next := at(s, k+1); !isDigit(next) && !isLetter(next) && printed(groups[:group+1], n) && luhn(digits[:n]) {
				best = k + 1 - i
			}
			continue
		}
		if c != ' ' && c != '-' || sep != 0 && c != sep || group+1 == len(groups) || groups[group] < 4 || !isDigit(at(s, k+1)) {
			break
		}
		sep = c
		group++
	}
	return best
}

// printed reports whether a number's digits are grouped so.
func printed(groups []int, n int) bool {
	if n < minCard {
		return false
	}
	if len(groups) == 1 {
		return true
	}
	if groups[0] != 4 {
		return false
	}
	if len(groups) == 3 && groups[1] == 6 {
		return groups[2] == 4 || groups[2] == 5
	}
	for _, g := range groups[1 : len(groups)-1] {
		if g != 4 {
			return false
		}
	}
	return groups[len(groups)-1] <= 4
}

// luhn reports whether the last digit is right by Luhn's formula.
func luhn(digits []byte) bool {
	sum := 0
	for i, d := range digits {
		n := int(d)
		if (len(digits)-i)%2 == 0 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}
