package adaptors

// Kind is a sort of adaptor: a name, a default config and a constructor. All
// kinds are named by one function, adaptors/all.Kinds.
type Kind struct {
	Name    string // as in the config's "kind:"
	Summary string // one line for people
	// NewConfig gives a pointer to a new config struct that holds the kind's
	// defaults. Its config tags are the kind's own keys, beside the common ones
	// (CommonKeys). It may implement
	// config.Validator. Where its adaptors run a program that the config names,
	// it has a method Program() string: over REST only the programs that the
	// agent's config lists are allowed.
	NewConfig func() any
	// New makes an adaptor from what NewConfig gave, decoded and valid. It
	// touches nothing outside and starts nothing.
	New func(cfg any) (Adaptor, error)
	// Replayable tells that the adaptors are Replayers: they do without the
	// agent's spool.
	Replayable bool
	// OwnTypes tells that the kind names the data types of its chunks itself,
	// so that an adaptor needs no type.
	OwnTypes bool
	// Rewindable tells that a stream's stored Settled may be set to any earlier
	// offset while no Run is on, and that the next Run reads on from there.
	Rewindable bool
	// Message gives the text that filters and switches look at in a record:
	// what stands behind the frame that every record of the kind has, such as
	// the time and stream of a container's log. It is a part of the record; nil
	// means the whole of it.
	Message func(record []byte) []byte
}

// CommonKeys are the keys of an adaptor's entry that the agent reads itself,
// whatever the kind. A kind's own keys have other names.
func CommonKeys() []string {
	return []string{"name", "kind", "type", "persona", "delivery", "tags", "when_full", "keep", "drop", "sample", "limit"}
}
