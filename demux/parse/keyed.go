package parse

import (
	"cmp"
	"slices"
	"strings"

	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// keyed is a record of keys and values, in whatever syntax: a scanner adds its
// fields, and fill makes a row of them. Some keys have roles: they give the row's
// time, level or message. Every other key becomes a column, nested ones with dots
// between; what can't be one goes to attributes.
type keyed struct {
	typed  []schema.Column // columns with given types, in a metrics table
	times  times.Formats   // of the times; empty: the usual ones
	chosen []string        // keys of the time that a config names: one, or those of date and time of day

	slots  map[string]uint8
	root   *node
	nodes  int
	learnt int     // bytes of the followers' texts
	shape  []*node // of the record before: the next one is most often alike
	gen    *rows.Generation
	fields []field
	others []*field              // of the record, in order of preference
	given  [roleMessage + 1]bool // the roles that its keys had, once it is filled
	failed *field                // the time that could not be read; nil: there is none
	apart  field                 // date and time of day, together
	text   []byte                // of apart
}

func newKeyed(typed ...schema.Column) *keyed {
	return &keyed{typed: typed, slots: slots(), root: &node{}}
}

// role is what a key is for.
type role uint8

const (
	roleColumn role = iota
	roleTime
	roleLevel
	roleMessage
)

// usual are the keys that have a role, the preferred ones first. They stand at
// the top; what of them can't be what it should goes to attributes.
var usual = [...]struct {
	key  string
	role role
}{
	{"", roleTime}, // the one that a config names
	{"ts", roleTime}, {"time", roleTime}, {"timestamp", roleTime}, {"@timestamp", roleTime},
	{"level", roleLevel}, {"severity", roleLevel},
	{"message", roleMessage}, {"msg", roleMessage},
}

// others are keys of certain writers, with those of their parents before them.
// They are asked where no usual one gave the value, and stay columns where they
// are not taken: those of Serilog, MongoDB, CloudTrail, Monolog, GELF, Python,
// structlog, Loguru, ECS, OpenTelemetry, log4j2, Google's and Rust's logging, .NET,
// Docker, nginx, AWS, Kubernetes' audit, Traefik, Cloudflare, Azure, Okta, Windows,
// HashiCorp and Falco; and those of days and times of day, see halves.
var others = [...]struct {
	key  string
	role role
}{
	{"", roleTime}, {"", roleTime}, // date and time of day that a config names
	{"@t", roleTime}, {"t.$date", roleTime}, {"eventTime", roleTime}, {"datetime", roleTime}, {"asctime", roleTime},
	{"Timestamp", roleTime}, {"_time", roleTime}, {"date", roleTime},
	{"Time", roleTime}, {"TIMESTAMP", roleTime}, {"timeMillis", roleTime}, {"timeUnixNano", roleTime},
	{"instant.epochSecond", roleTime}, {"timestamp.seconds", roleTime}, {"record.time.timestamp", roleTime},
	{"log_time", roleTime}, {"created_at", roleTime}, {"start_time", roleTime},
	{"time_iso8601", roleTime}, {"time_local", roleTime}, {"msec", roleTime}, {"requestTime", roleTime}, {"requestReceivedTimestamp", roleTime},
	{"stageTimestamp", roleTime}, {"StartUTC", roleTime}, {"EdgeStartTimestamp", roleTime}, {"TimeGenerated", roleTime}, {"published", roleTime},
	{"UtcTime", roleTime}, {"EventTime", roleTime}, {"event_time", roleTime}, {"accept_date", roleTime}, {"TimeCreated", roleTime},
	{"DATE", roleTime}, {"Date", roleTime}, {"EventDate", roleTime}, {"event_date", roleTime}, {"log_date", roleTime}, {"start_date", roleTime},
	{"LogDate", roleTime}, {"LogTime", roleTime}, {"day", roleTime}, {"Date and Time", roleTime}, {"t", roleTime},
	{"@level", roleLevel}, {"level_name", roleLevel}, {"levelname", roleLevel}, {"@l", roleLevel}, {"log.level", roleLevel}, {"lvl", roleLevel},
	{"loglevel", roleLevel}, {"log_level", roleLevel}, {"severityText", roleLevel}, {"severity_text", roleLevel},
	{"Level", roleLevel}, {"LogLevel", roleLevel}, {"SEVERITY", roleLevel}, {"priority", roleLevel}, {"error_severity", roleLevel}, {"loglevelname", roleLevel}, {"LEVEL", roleLevel}, {"LevelDisplayName", roleLevel},
	{"record.level.name", roleLevel}, {"s", roleLevel},
	{"@message", roleMessage}, {"@m", roleMessage}, {"short_message", roleMessage}, {"RenderedMessage", roleMessage}, {"@mt", roleMessage}, {"Message", roleMessage},
	{"fields.message", roleMessage}, {"body.stringValue", roleMessage}, {"record.message", roleMessage}, {"MESSAGE", roleMessage}, {"event", roleMessage}, {"log", roleMessage},
	{"jsonPayload.message", roleMessage}, {"textPayload", roleMessage}, {"output", roleMessage},
}

// slots gives each key that has a role its place: that among the usual ones, or
// behind them all that among the others.
func slots() map[string]uint8 {
	m := make(map[string]uint8, len(usual)+len(others))
	for i, u := range usual {
		m[u.key] = uint8(i)
	}
	for i, o := range others {
		m[o.key] = uint8(len(usual) + i)
	}
	delete(m, "")
	return m
}

const noSlot = 255

// node is a key at its place among the nested keys.
type node struct {
	parent *node
	key    string
	name   string           // with those of its parents before it, dots between
	slot   uint8            // see slots; noSlot: it has no role
	nanos  string           // of seconds: the key beside it that has their nanoseconds
	col    *rows.Column     // nil: attributes
	gen    *rows.Generation // of the builder that col is from
	kids   map[string]*node
	depth  int // among the nested keys: those at the top have 1
	// followers are what came behind its values.
	followers []follower
}

// role returns what the key is for.
func (n *node) role() role {
	switch {
	case n.slot == noSlot:
		return roleColumn
	case int(n.slot) < len(usual):
		return usual[n.slot].role
	}
	return others[int(n.slot)-len(usual)].role
}

// maxNodes bounds the keys that are remembered.
const maxNodes = 10000

// kind is the kind of a value.
type kind uint8

const (
	kindString kind = iota
	kindLong
	kindDouble
	kindBool
	kindText // what has no type: an array, a number beyond all types
)

type field struct {
	node  *node
	kind  kind
	ascii bool   // val is known to have no other characters
	val   []byte // a string's content, or the value's text
	num   uint64
}

// timeFormats implements timed.
func (k *keyed) timeFormats(t times.Formats) { k.times = t }

// begin is called before a chunk's first record.
func (k *keyed) begin(r *reader) {
	if g := r.b.Generation(); g != k.gen {
		k.gen = g
		for _, c := range k.typed {
			r.b.Typed(c.Name, c.Type)
		}
	}
}

// reset forgets the record before but for its shape.
func (k *keyed) reset() {
	k.shape = k.shape[:0]
	for i := range k.fields {
		k.shape = append(k.shape, k.fields[i].node)
	}
	k.fields = k.fields[:0]
}

// fill puts the fields into a row, and reports whether one of them is its time.
func (k *keyed) fill(r *reader) (timed bool) {
	r.row()
	var special [len(usual)]*field
	k.others = k.others[:0]
	for i := range k.fields {
		d := &k.fields[i]
		switch slot := d.node.slot; {
		case slot == noSlot:
			k.put(r, d)
		case int(slot) >= len(usual):
			k.others = append(k.others, d)
		case special[slot] == nil:
			special[slot] = d
		default:
			r.b.Attr(d.node.name, d.val)
		}
	}
	given := &k.given
	*given = [roleMessage + 1]bool{}
	k.failed = nil
	if len(k.others) > 0 {
		given[roleTime] = k.join(r, &special[timeSlot])
	}
	for slot, d := range special {
		role := usual[slot].role
		switch {
		case d == nil:
		case given[role]:
			r.b.Attr(d.node.name, d.val)
		default:
			given[role] = k.give(r, role, d)
		}
	}
	if len(k.others) > 0 {
		k.giveOthers(r, given)
	}
	return given[roleTime]
}

// give gives the row a field's value for a role, and reports whether it is one.
// One that is none goes to attributes.
func (k *keyed) give(r *reader, role role, d *field) bool {
	switch role {
	case roleTime:
		t := k.time(d, &r.zone)
		r.setTime(t, d.node.name, d.val)
		if !t.OK && k.failed == nil {
			k.failed = d
		}
		return r.believes(t)
	case roleLevel:
		return r.setLevel(d.val, d.node.name)
	}
	if d.ascii {
		r.b.MessageASCII(d.val)
		return true
	}
	r.b.Message(d.val)
	return true
}

// giveOthers gives the row what no usual key gave; what is not taken stays a
// column.
func (k *keyed) giveOthers(r *reader, given *[roleMessage + 1]bool) {
	slices.SortStableFunc(k.others, func(a, b *field) int { return cmp.Compare(a.node.slot, b.node.slot) })
	for _, d := range k.others {
		role := others[int(d.node.slot)-len(usual)].role
		fits := !given[role]
		switch {
		case !fits:
		case role == roleTime:
			fits = !r.frame.OK && r.believes(k.time(d, &r.zone))
		case role == roleLevel:
			fits = d.kind == kindString && levels.Named(d.val) != rows.NoLevel
		default:
			fits = d.kind == kindString
		}
		if !fits {
			k.put(r, d)
			continue
		}
		given[role] = k.give(r, role, d)
	}
}

// put gives a value to its column.
func (k *keyed) put(r *reader, d *field) {
	n := d.node
	if n.gen != k.gen {
		n.col, n.gen = r.b.Column(n.name), k.gen
	}
	c := n.col
	if c == nil {
		r.b.Attr(n.name, d.val)
		return
	}
	switch d.kind {
	case kindString:
		if d.ascii {
			c.ASCII(d.val)
			return
		}
		c.String(d.val)
	case kindLong:
		c.Long(int64(d.num))
	case kindDouble:
		c.Double(d.double(), d.val)
	case kindBool:
		c.Bool(d.num != 0)
	default:
		c.Text(d.val)
	}
}

// child returns the node of a key below parent. guess is how many fields came
// before it: the key is most often the one that came there last time.
func (k *keyed) child(parent *node, key []byte, guess int) *node {
	if guess < len(k.shape) {
		if n := k.shape[guess]; n.parent == parent && n.key == string(key) {
			return n
		}
	}
	if n := parent.kids[string(key)]; n != nil {
		return n
	}
	n := &node{parent: parent, key: string(key), depth: parent.depth + 1}
	n.name = n.key
	if parent.parent != nil || parent.key != "" {
		n.name = parent.name + "." + n.key
	}
	n.slot = noSlot
	if slot, ok := k.slots[n.name]; ok && (int(slot) >= len(usual) || slot == chosenSlot || parent == k.root) {
		n.slot = slot
	}
	switch n.name {
	case "instant.epochSecond":
		n.nanos = "nanoOfSecond"
	case "timestamp.seconds":
		n.nanos = "nanos"
	}
	if k.nodes >= maxNodes || len(n.name) > 1<<10 {
		return n // not remembered: there may be no end of them
	}
	k.nodes++
	if parent.kids == nil {
		parent.kids = map[string]*node{}
	}
	n.key = strings.Clone(n.key)
	parent.kids[n.key] = n
	return n
}

// add takes a value that the scanner has read.
func (k *keyed) add(n *node, t kind, val []byte, num uint64) {
	d := k.more()
	d.node, d.kind, d.ascii, d.val, d.num = n, t, false, val, num
}

// more adds a field, all of which the caller sets: one by one, since a whole field would
// be put together elsewhere first, and copied.
func (k *keyed) more() *field {
	n := len(k.fields)
	if n < cap(k.fields) {
		k.fields = k.fields[:n+1]
	} else {
		k.fields = append(k.fields, field{})
	}
	return &k.fields[n]
}
