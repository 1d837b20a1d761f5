package rounds

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Failures is what is wrong now, by the name of the thing it is wrong with. It
// is safe for concurrent use; the zero Failures are none.
type Failures struct {
	mu  sync.Mutex
	why map[string]string
}

// Note notes what is wrong with something; with an empty text, nothing is any
// more. It reports whether that is news.
func (f *Failures) Note(name, why string) (news bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	news = f.why[name] != why
	if why == "" {
		delete(f.why, name)
		return news
	}
	if f.why == nil {
		f.why = map[string]string{}
	}
	f.why[name] = why
	return news
}

// maxShown bounds how many failures a text tells of.
const maxShown = 5

// String tells what is wrong, for people: empty where nothing is.
func (f *Failures) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for name, why := range f.why {
		out = append(out, name+": "+why)
	}
	slices.Sort(out)
	if n := len(out) - maxShown; n > 0 {
		out = append(out[:maxShown], fmt.Sprintf("and %d more", n))
	}
	return strings.Join(out, "; ")
}
