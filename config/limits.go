package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// hold reports whether the decoded value v, written as text, is within the
// limits of the field's tags.
func (l limits) hold(text string, v reflect.Value) bool {
	if l.oneof != "" && !slices.Contains(strings.Split(l.oneof, "|"), text) {
		return false
	}
	if l.min != "" && number(v) < limit(l.min, v.Type()) {
		return false
	}
	return l.max == "" || number(v) <= limit(l.max, v.Type())
}

// limit reads a limit in the syntax of the field's own type. A limit that
// can't be read is our own mistake.
func limit(text string, t reflect.Type) float64 {
	p := reflect.New(t)
	if u, ok := p.Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			panic(fmt.Sprintf("config: the limit %q of a %s: %v", text, t, err))
		}
		return number(p.Elem())
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(fmt.Sprintf("config: the limit %q of a %s: %v", text, t, err))
	}
	return f
}

func number(v reflect.Value) float64 {
	switch {
	case v.CanInt():
		return float64(v.Int())
	case v.CanUint():
		return float64(v.Uint())
	case v.CanFloat():
		return v.Float()
	}
	panic(fmt.Sprintf("config: a limit on a %s", v.Type()))
}

// Wanter is a type that says in a problem what it wants to be: "a size, such
// as 128MiB".
type Wanter interface{ Want() string }

// wants says what a value of type t may be.
func wants(t reflect.Type, l limits) string {
	s := "a valid value"
	if w, ok := reflect.New(t).Interface().(Wanter); ok {
		s = w.Want()
	} else {
		switch t.Kind() {
		case reflect.String:
			s = "text"
		case reflect.Bool:
			s = "true or false"
		case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
			s = "a whole number"
		case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
			s = "a whole number from 0 up"
		case reflect.Float32, reflect.Float64:
			s = "a number"
		case reflect.Struct, reflect.Map:
			s = "a mapping of keys to values"
		case reflect.Slice:
			s = "a list"
		}
	}
	switch {
	case l.oneof != "":
		return "one of " + strings.ReplaceAll(l.oneof, "|", ", ")
	case l.min != "" && l.max != "":
		return s + ", from " + l.min + " to " + l.max
	case l.min != "":
		return s + ", at least " + l.min
	case l.max != "":
		return s + ", at most " + l.max
	}
	return s
}

// Nearest is the word of allowed that differs least from word, "" where none
// is near. It is for "did you mean".
func Nearest(word string, allowed []string) string {
	best, bestCost := "", max(1, min(len(word)/3, 3))+1
	for _, a := range allowed {
		if cost := distance(strings.ToLower(word), a, bestCost); cost < bestCost {
			best, bestCost = a, cost
		}
	}
	return best
}

// distance counts the letters to insert, delete, change or swap with their
// neighbour to get from a to b, and gives up at atMost.
func distance(a, b string, atMost int) int {
	if len(a)-len(b) >= atMost || len(b)-len(a) >= atMost {
		return atMost
	}
	var before []int
	prev, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, make([]int, len(b)+1)
	}
	return prev[len(b)]
}
