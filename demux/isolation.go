package demux

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/quarantine"
	"github.com/akupara/akupara/demux/table"
)

// spot is where a sink file has a chunk or a fact, known by the file's name: the
// file may be opened anew in between.
type spot struct {
	path         string
	block, chunk int32
}

// isolation finds out which chunk or fact makes the runs of a data type fail, and
// parts it from all others: runs take half of what the one before took, until
// one takes a single chunk and fails. What is suspected is left until nothing else
// is, and taken alone. What fails alone is blamed: it is left out, and its file
// goes to quarantine when all else of it is in the table.
type isolation struct {
	limit    int // how much a run takes; 0: no bound
	suspects map[spot]*suspect
	blamed   map[string][]quarantine.Fault // by the file's path
	commits  int                           // of this process
	credit   int                           // how many were blamed since the last commit
}

// suspect is what a run failed of, taken alone or not.
type suspect struct {
	commits int // of the type when it was suspected
	tries   int // alone
}

// maxCredit is how many are blamed with no commit in between: when all that is
// taken fails, then the fault is likely not in what is taken, and it stays in raw/.
const maxCredit = 3

// inputError is a failure of a run that the store has no part in.
type inputError struct {
	at    *spot // nil: not known
	stage stage
	err   error
}

func (e *inputError) Error() string { return e.err.Error() }
func (e *inputError) Unwrap() error { return e.err }

// stage is what a run was doing.
type stage int

const (
	parsing stage = iota
	writing
	committing
)

// panicked is the error of what panicked.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// guard calls do, and makes an error of its panic: no input ends the process.
func guard(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{v, debug.Stack()}
		}
	}()
	return do()
}

// notInput reports whether the cause is known to be something other than what
// the run took.
func notInput(err error) bool {
	return errors.Is(err, table.ErrConflict) || errors.Is(err, table.ErrUnknown) || errors.Is(err, table.ErrDamaged) ||
		errors.As(err, new(*engineError))
}

// note takes in that a run failed that took what took says, and reports whether
// the next one has a better chance. blamed is what turned out to be at fault.
func (s *isolation) note(e *inputError, took []spot) (again bool, blamed *spot) {
	if e.at == nil && len(took) == 1 {
		e.at = &took[0]
	}
	switch {
	case len(took) == 0:
		return false, nil
	case e.at == nil:
		s.limit = max(len(took)/2, 1)
		return true, nil
	case s.suspects[*e.at] == nil:
		if s.suspects == nil {
			s.suspects = map[spot]*suspect{}
		}
		s.suspects[*e.at] = &suspect{commits: s.commits}
		return true, nil // others first, then this one alone
	case len(took) > 1: // its run was not its own: not possible, as plans go
		return false, nil
	}
	x := s.suspects[*e.at]
	x.tries++
	switch {
	case s.commits > x.commits: // others went through
	case e.stage != committing && s.credit < maxCredit:
		s.credit++
	default:
		return false, nil
	}
	delete(s.suspects, *e.at)
	if s.blamed == nil {
		s.blamed = map[string][]quarantine.Fault{}
	}
	return true, e.at
}

// allows reports whether a run that takes so much already may take this, too.
func (s *isolation) allows(at spot, taken int, suspect bool) bool {
	if suspect {
		return taken == 0 && s.suspects[at] != nil
	}
	return s.suspects[at] == nil && (s.limit == 0 || taken < s.limit)
}

// calm reports whether nothing has failed of late because of what was taken.
func (s *isolation) calm() bool { return s.limit == 0 && len(s.suspects) == 0 }

// committed takes in that a run went through.
func (s *isolation) committed(p *plan) {
	s.commits++
	s.credit = 0
	if len(s.suspects) > 0 {
		for _, at := range p.spots() {
			delete(s.suspects, at)
		}
	}
	if s.limit *= 2; s.limit > 1<<20 || p.taken < s.limit/4 {
		s.limit = 0 // the bound is none any more
	}
}

// forget drops what is known of a file that left raw/.
func (s *isolation) forget(path string) {
	delete(s.blamed, path)
	for at := range s.suspects {
		if at.path == path {
			delete(s.suspects, at)
		}
	}
}

// fault describes what is blamed.
func (f *sinkFile) fault(at spot, err error) quarantine.Fault {
	x := quarantine.Fault{Block: int(at.block), Chunk: int(at.chunk), Reason: err.Error()}
	if e := f.entry(int(at.block), int(at.chunk)); e != nil {
		x.Stream, x.Host, x.Source, x.Range = e.Stream, e.Host, e.Source, &chunk.Range{First: e.First, Last: e.Last}
	}
	return x
}

// entry returns an entry of the file's index, nil where there is none.
func (f *sinkFile) entry(block, at int) *chunk.Entry {
	if f.sink == nil || block < 0 || block >= len(f.sink.Index.Blocks) {
		return nil
	}
	entries := f.sink.Index.Blocks[block].Entries
	if at < 0 || at >= len(entries) {
		return nil
	}
	return &entries[at]
}
