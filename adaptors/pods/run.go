package pods

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/board"
	"github.com/akupara/akupara/adaptors/internal/find"
	"github.com/akupara/akupara/adaptors/internal/receipts"
	"github.com/akupara/akupara/adaptors/internal/turns"
	"github.com/akupara/akupara/adaptors/pods/internal/kube"
)

// Instances are read side by side by readers. While all of these wait, for
// collectors say, openers take hold of the others' files before they are gone.
const (
	readers = 8
	openers = 2
)

// run is one life of the adaptor: one goroutine that knows which containers
// there are and whose turn it is, and the readers.
type run struct {
	cfg   Config
	env   adaptors.Env
	times times
	box   *receipts.Box
	board *board.Board
	find  *find.Finder
	kube  *kube.Source // nil where no metadata is asked for
	root  string

	owners  *owners
	refused map[*turn]bool // another adaptor collects them
	claims  uint64         // version of the claims when they were looked at last

	live  registry
	links links

	turns     *turns.Queue[*turn]
	reading   int              // readers that have an instance
	undecided map[*turn]bool   // that wait for their metadata
	files     *adaptors.Holder // how many may be open

	firstStart bool // and not all streams of what was there are open yet
	opening    map[*turn]bool

	work    chan *turn
	looks   chan *turn
	done    chan result
	scanNow bool
	scanAll bool // and look at files, too, not at folders that changed alone
}

// marker is the Source of the stored stream that says that the adaptor was
// started before. Nothing is ever sent of it.
const marker = "(first start)"

func newRun(cfg *Config, t times, maxOpen int, env adaptors.Env) (*run, error) {
	if env.Log == nil {
		return nil, errors.New("run pods: no logger")
	}
	if env.Descriptors == nil || maxOpen > 0 {
		env.Descriptors = adaptors.NewDescriptors(maxOpen)
	}
	r := &run{
		cfg: *cfg, env: env, times: t, root: filepath.Clean(cfg.Root),
		live: newRegistry(), links: links{}, undecided: map[*turn]bool{}, opening: map[*turn]bool{}, refused: map[*turn]bool{},
		work: make(chan *turn), looks: make(chan *turn), done: make(chan result),
	}
	r.owners = newOwners(&r.env)
	source, err := cfg.Metadata.source(os.Getenv, env.Log)
	if err != nil {
		return nil, err
	}
	r.kube = source
	return r, nil
}

func (r *run) metadataErr() string {
	if r.kube == nil {
		return ""
	}
	return r.kube.Trouble()
}

func (r *run) parse(path string) (container, name, bool) {
	rel, ok := strings.CutPrefix(path, r.root+"/")
	if !ok {
		return container{}, name{}, false
	}
	return parsePath(rel)
}

// get returns a container's instance, a new one where there is none; nil where
// the container is not collected.
func (r *run) get(c *container) *turn {
	if t := r.live.byKey[c.key()]; t != nil && !t.in.out.EndSent() {
		return t
	}
	if !r.collects(c) {
		return nil
	}
	return r.add(newInstance(&r.env, r.root, *c, r.times))
}

func (r *run) collects(c *container) bool {
	return r.cfg.Rules.names(c) && !(r.cfg.ExcludeSelf && self(c, os.Getenv))
}

func (r *run) add(in *instance) *turn {
	t := &turn{in: in}
	r.live.add(t)
	r.board.Show(in.out, r.pathOf(in))
	return t
}

// pathOf is the path of an instance's log.
func (r *run) pathOf(in *instance) string { return filepath.Join(r.root, in.key()) }

// mayOpen reports whether one more file may be opened at once: while there are
// far too many, a log waits for its turn.
func (r *run) mayOpen() bool {
	_, hard := r.files.Excess()
	return hard == 0
}
