package ledger

// Level is what secures a byte, so that a position may move over it. The
// names are Flume's.
type Level int32

const (
	// EndToEnd: a sink file in the store holds it. It survives the loss of any
	// one machine.
	EndToEnd Level = iota
	// StoreOnFailure: a collector has it on its disk. It survives any crash,
	// not the loss of that disk.
	StoreOnFailure
	// BestEffort: it was handed to a post. Nothing is promised.
	BestEffort
)

var levelNames = [...]string{"end_to_end", "store_on_failure", "best_effort"}

func (l Level) String() string { return levelNames[l] }

// LevelOf reads a level's name; one that is none is EndToEnd, the default.
func LevelOf(name string) Level {
	for i, n := range levelNames {
		if n == name {
			return Level(i)
		}
	}
	return EndToEnd
}
