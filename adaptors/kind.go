package adaptors

import "fmt"

// Kind is a sort of adaptor: a name, a default config and a constructor, as
// Make makes it. All kinds are named by one function, adaptors/all.Kinds.
type Kind struct {
	Name    string // as in the config's "kind:"
	Summary string // one line for people
	// NewConfig returns a pointer to a new config struct that holds the kind's
	// defaults. Its config tags are the kind's own keys, beside the common ones
	// (CommonKeys). It may implement config.Validator, Needer, Rooter, Changer
	// and Globber.
	NewConfig func() any
	// New makes an adaptor from what NewConfig gave, decoded and valid. It
	// touches nothing outside and starts nothing.
	New func(cfg any) (Adaptor, error)
	// Replayable says that the adaptors are Replayers: they do without the
	// agent's spool.
	Replayable bool
	// OwnTypes says that the kind names the data types of its chunks itself,
	// so that an adaptor needs no type.
	OwnTypes bool
	// Rewindable says that a stream's stored Settled may be set to any earlier
	// offset while no Run is on, and that the next Run reads on from there.
	Rewindable bool
	// Retypes says that its streams wait, where the type of their adaptor's entry
	// changed, until all that was sent of them as the other type is settled, and call
	// Streams.Retype then. Streams of other kinds go on as the new type at once: what
	// was not settled may be in both types' tables.
	Retypes bool
	// Message returns the text that filters and switches look at in a record:
	// what follows the frame that every record of the kind has, such as the
	// time and stream of a container's log. It is a part of the record; nil
	// means the whole of it.
	Message func(record []byte) []byte
}

// Make makes a kind whose config is a C and whose adaptors are A. create gets
// what defaults gave and config.Decode filled and found valid: it checks
// nothing of that again.
func Make[C any, A Adaptor](name, summary string, defaults func() C, create func(C) (A, error), more ...Option) Kind {
	k := Kind{
		Name:    name,
		Summary: summary,
		NewConfig: func() any {
			c := defaults()
			return &c
		},
		New: func(cfg any) (Adaptor, error) {
			c, ok := cfg.(*C)
			if !ok {
				return nil, fmt.Errorf("create %s: its config is a %T", name, cfg)
			}
			a, err := create(*c)
			if err != nil {
				return nil, fmt.Errorf("create %s: %w", name, err)
			}
			return a, nil
		},
	}
	var a A
	_, k.Replayable = any(a).(Replayer)
	for _, m := range more {
		m(&k)
	}
	return k
}

// Option says more of a kind than Make can see; see the fields of Kind.
type Option func(*Kind)

// Rewindable sets Kind.Rewindable.
func Rewindable(k *Kind) { k.Rewindable = true }

// Retypes sets Kind.Retypes.
func Retypes(k *Kind) { k.Retypes = true }

// OwnTypes sets Kind.OwnTypes.
func OwnTypes(k *Kind) { k.OwnTypes = true }

// Message sets Kind.Message.
func Message(of func(record []byte) []byte) Option {
	return func(k *Kind) { k.Message = of }
}

// CommonKeys are the keys of an adaptor's entry that the agent reads itself,
// whatever the kind. A kind's own keys have other names.
func CommonKeys() []string {
	return []string{"name", "kind", "type", "persona", "delivery", "tags", "when_full", "keep", "drop", "sample", "limit"}
}
