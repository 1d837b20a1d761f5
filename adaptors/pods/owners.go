package pods

import (
	"cmp"
	"hash/fnv"
	"sync"

	"github.com/akupara/akupara/adaptors"
)

// owners says which of an agent's adaptors collects a container as a data type,
// and finds the stream with which another one began. It is safe for concurrent
// use.
type owners struct {
	env    *adaptors.Env
	claims *adaptors.Claimant

	mu      sync.Mutex
	listed  bool
	version uint64           // of the claims when others were listed
	others  map[claim]string // their ids
}

// claim is an instance of a container, by its log's path below the root, as a
// data type.
type claim struct{ log, dataType string }

func newOwners(env *adaptors.Env) *owners {
	return &owners{env: env, claims: env.Claims.Join(env.Name)}
}

func (o *owners) claimOf(in *instance) claim {
	return claim{in.key(), cmp.Or(in.choice.dataType, o.env.Type)}
}

// number stands for the container among files' inodes: on device 0 are none.
func (c claim) number() uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(c.log)) // it never fails
	return h.Sum64()
}

// claim asks to collect an instance; if another adaptor does, holder is its name.
func (o *owners) claim(in *instance) (holder string, ok bool) {
	c := o.claimOf(in)
	return o.claims.Claim(c.dataType, 0, c.number())
}

// drop lets others collect an instance.
func (o *owners) drop(in *instance) {
	c := o.claimOf(in)
	o.claims.Drop(c.dataType, 0, c.number())
}

// take takes the stream that an instance has with another adaptor; its id is
// empty where there is none.
func (o *owners) take(in *instance) (adaptors.Stream, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if v := o.env.Claims.Version(); !o.listed || v != o.version {
		o.listed, o.version, o.others = true, v, map[claim]string{}
		for _, k := range o.env.Streams.Others() {
			if c, ok := containerOf(k.Source); ok {
				o.others[claim{c.key(), k.Type}] = k.ID
			}
		}
	}
	id := o.others[o.claimOf(in)]
	if id == "" {
		return adaptors.Stream{}, nil
	}
	return o.env.Streams.Take(id)
}
