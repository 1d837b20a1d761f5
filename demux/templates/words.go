package templates

// kind is what is known of a word.
type kind uint16

const (
	value    kind = 1 << iota // it is a value by itself
	calendar                  // a month or a weekday, as dates name them
	unit                      // behind a number it is its unit, which often changes with the number
	thing                     // a kind of thing of which the name may follow: "for user root"
	leading                   // before a thing it makes a name follow
	subject                   // with "for" behind it, a user's name follows: "password for root"
	aim                       // "for"
	user                      // "user"
	ofUser                    // behind "user" it says what of the user is meant
	function                  // a word that is no name
)

// words are all of which something is known. Their numbers, plus one, are in slots of
// wordsAt by hash: several words take those that follow.
var words, wordsAt = func() (list []knownWord, at [slots]uint16) {
	for _, x := range []struct {
		kind  kind
		words []string
	}{
		{value, []string{"true", "false", "null", "nil", "True", "False", "None", "NULL", "TRUE", "FALSE", "NaN", "Infinity", "undefined"}},
		{calendar, []string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
			"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}},
		{unit, []string{"ns", "us", "µs", "ms", "s", "sec", "secs", "second", "seconds", "msec", "msecs", "usec",
			"m", "min", "mins", "minute", "minutes", "h", "hr", "hrs", "hour", "hours", "d", "day", "days",
			"millis", "milliseconds", "microseconds", "nanoseconds", "MILLISECONDS", "SECONDS",
			"B", "kB", "KB", "MB", "GB", "TB", "PB", "KiB", "MiB", "GiB", "TiB", "K", "M", "G", "T", "kb", "mb", "gb",
			"Hz", "kHz", "MHz", "GHz", "AM", "PM", "UTC", "GMT", "Z"}},
		{thing, []string{"user", "User", "username", "account", "login", "group", "role",
			"host", "hostname", "node", "server", "client", "peer", "machine", "domain",
			"service", "process", "program", "application", "app", "job", "task", "thread", "container", "pod", "image", "namespace",
			"class", "module", "driver", "plugin", "package", "method", "function",
			"file", "directory", "folder", "path", "volume", "device", "interface", "partition",
			"table", "database", "schema", "column", "index", "topic", "queue", "key", "property", "bucket", "region"}},
		{leading, []string{"for", "by", "from", "of", "to", "in", "on", "at", "with", "as", "via", "For", "From",
			"invalid", "illegal", "unknown", "Invalid", "Illegal", "Unknown"}},
		{subject, []string{"password", "publickey", "hostbased", "none", "failure", "failures"}},
		{aim, []string{"for"}},
		{user, []string{"user", "User"}},
		{ofUser, []string{"account", "agent", "authentication", "authorization", "class", "code", "context", "creation", "credentials", "data", "database",
			"directory", "group", "id", "input", "interface", "list", "login", "manager", "mode", "name", "password", "permissions", "privileges",
			"process", "profile", "program", "registration", "request", "role", "service", "session", "settings", "space", "store", "table", "token", "who"}},
		{function, []string{"is", "was", "are", "were", "be", "has", "have", "had", "does", "did", "do", "can", "will", "may", "must", "should",
			"not", "no", "and", "or", "but", "to", "for", "from", "in", "on", "at", "by", "of", "with", "as", "via", "into", "that", "which",
			"if", "when", "while", "because", "due", "the", "a", "an", "this", "it", "its", "invalid", "illegal", "unknown"}},
	} {
		for _, w := range x.words {
			i := hashOf([]byte(w))
			for at[i] != 0 && list[at[i]-1].word != w {
				i = (i + 1) % slots
			}
			if at[i] == 0 {
				list = append(list, knownWord{word: w})
				at[i] = uint16(len(list))
			}
			list[at[i]-1].kind |= x.kind
		}
	}
	return list, at
}()

type knownWord struct {
	word string
	kind kind
}

const (
	slotBits = 11
	slots    = 1 << slotBits // of words
	maxWord  = 14            // bytes of the longest one
)

// hashOf is where a word is looked for first. It has at least one byte.
func hashOf(w []byte) uint32 {
	n := len(w)
	h := uint32(w[0]) | uint32(w[n-1])<<8 | uint32(w[n/2])<<16 | uint32(n)<<24
	return h * 0x9e3779b1 >> (32 - slotBits)
}

// lengths are those of the words that begin with a byte: a bit for each.
var lengths = func() (t [256]uint16) {
	for _, w := range words {
		t[w.word[0]] |= 1 << len(w.word)
	}
	return t
}()

// kindOf returns what is known of a word, which has at least one byte.
func kindOf(w []byte) kind {
	if lengths[w[0]]>>min(len(w), maxWord+1)&1 == 0 {
		return 0
	}
	for i := hashOf(w); wordsAt[i] != 0; i = (i + 1) % slots {
		if known := &words[wordsAt[i]-1]; known.word == string(w) {
			return known.kind
		}
	}
	return 0
}

// mayName reports whether a word of that kind may be a name, where one may follow: it
// is no function word, and no form of a verb.
func mayName(w []byte, k kind) bool {
	if n := len(w); n > 3 && (string(w[n-2:]) == "ed" || string(w[n-3:]) == "ing") {
		return false
	}
	return k&function == 0
}
