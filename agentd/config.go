package agentd

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/agentd/internal/filter"
	"github.com/akupara/akupara/agentd/internal/ledger"
	"github.com/akupara/akupara/agentd/internal/spool"
	"github.com/akupara/akupara/agentd/internal/supervise"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon"
)

// Config is the agent's section of the config.
type Config struct {
	Collectors  []config.URL    `config:"collectors,required"`
	Listen      config.Addr     `config:"listen"`                // of the REST API
	Host        string          `config:"host"`                  // in every chunk; empty: the system's name
	Buffer      config.Size     `config:"buffer" min:"20MiB"`    // bytes of chunks on their way, at most
	ResendAfter config.Duration `config:"resend_after" min:"1s"` // a collector away for so long: ask another
	Spool       SpoolConfig     `config:"spool"`                 // for sources that can't be read again
	Allow       []string        `config:"allow_commands"`        // programs that adaptors added over REST may run
	AllowPaths  []string        `config:"allow_paths"`           // folders that they may read
	AllowWrites []string        `config:"allow_writes"`          // folders that they may move and delete files in
	AllowListen []string        `config:"allow_listen"`          // addresses beside loopback that they may listen on
	AllowURLs   []string        `config:"allow_urls"`            // beginnings of URLs that they may connect to
	TLS         TLSConfig       `config:"tls"`
	TokenFile   string          `config:"token_file"` // of the token that the REST API asks for
	Hosts       []string        `config:"hosts"`      // names of this machine that requests may use
	Adaptors    []config.Node   `config:"adaptors"`   // each an entry and its kind's own keys
	Switches    []config.Node   `config:"switches"`   // what is not collected for now

	// Personas are what adaptors share that name the same one. The memory that
	// the agent uses is bounded by its own buffer and those of all personas
	// together.
	Personas map[string]PersonaConfig `config:"personas"`
	Posts    int                      `config:"posts" min:"1" max:"64"`    // batches in flight
	DrainFor config.Duration          `config:"drain" max:"10m"`           // how long a stop may take
	Poll     config.Duration          `config:"receipts_every" min:"10ms"` // how often receipts are asked for

	specs    []supervise.Spec // Adaptors, decoded
	node     config.Node      // the section, to place problems by
	switches []filter.Switch  // Switches, decoded
}

// Node is the section that the config was read from, to place problems by.
func (c *Config) Node() config.Node { return c.node }

// SpoolConfig bounds the agent's spool.
type SpoolConfig struct {
	Bytes    config.Size    `config:"bytes" min:"1MiB"`
	KeepFree config.Percent `config:"keep_free"` // of the whole disk
}

// Buffers are the bytes of chunks that the agent may hold at most: its own and
// its personas'.
func (c *Config) Buffers() int64 {
	sum := int64(c.Buffer)
	for _, p := range c.Personas {
		sum += int64(p.Buffer)
	}
	return sum
}

// TLSConfig holds the PEM files that the REST API is served with.
type TLSConfig struct {
	Cert     string `config:"cert"`
	Key      string `config:"key"`
	ClientCA string `config:"client_ca"` // of the certificates that clients need
}

func (c *Config) access() daemon.Access {
	return daemon.Access{Cert: c.TLS.Cert, Key: c.TLS.Key, ClientCA: c.TLS.ClientCA, TokenFile: c.TokenFile}
}

// DefaultConfig is what holds where a key is not given.
func DefaultConfig() Config {
	return Config{
		Listen:      "127.0.0.1:9771",
		Buffer:      32 << 20,
		ResendAfter: config.Duration(30 * time.Second),
		Spool:       SpoolConfig{Bytes: 10 << 30, KeepFree: 5},
		Posts:       4,
		DrainFor:    config.Duration(5 * time.Second),
		Poll:        config.Duration(time.Second),
	}
}

// Validate implements config.Validator.
func (c *Config) Validate(n config.Node) config.Problems {
	var out config.Problems
	if node := n.Get("collectors"); node.Given() && len(c.Collectors) == 0 && len(node.Items()) == 0 {
		out = append(out, node.Problemf("it is empty; want at least one collector's URL"))
	}
	if err := c.access().Check(c.Listen.Split()); err != nil {
		out = append(out, n.Get("listen").Problemf("%v", err))
	}
	out = append(out, c.checkAllow(n)...)
	if len(c.Host) > 255 {
		out = append(out, n.Get("host").Problemf("it has %d bytes; at most 255 are allowed", len(c.Host)))
	}
	return append(out, c.checkPersonas(n)...)
}

// Decode reads the agent's section and all its adaptors. What it gives is
// usable only where there are no problems.
func Decode(n config.Node, kinds []adaptors.Kind) (Config, config.Problems) {
	c := DefaultConfig()
	c.node = n
	problems := config.Decode(n, &c)
	first := map[string]config.Pos{}
	for _, node := range c.Adaptors {
		spec, p := decodeAdaptor(node, kinds, c.Personas)
		problems = append(problems, p...)
		if at, twice := first[spec.Name]; twice && spec.Name != "" {
			problems = append(problems, node.Get("name").Problemf("%q is used twice; the first is at line %d", spec.Name, at.Line))
		}
		first[spec.Name] = node.Pos()
		c.specs = append(c.specs, spec)
	}
	return c, append(problems, c.decodeSwitches(n.Get("switches"))...)
}

func (c *Config) decodeSwitches(n config.Node) config.Problems {
	if len(c.Switches) > filter.MaxSwitches {
		return config.Problems{n.Problemf("%d switches; at most %d are allowed", len(c.Switches), filter.MaxSwitches)}
	}
	var problems config.Problems
	first := map[string]config.Pos{}
	for _, node := range c.Switches {
		sw, p := filter.DecodeSwitch("", node)
		problems = append(problems, p...)
		if at, twice := first[sw.Name]; twice && sw.Name != "" {
			problems = append(problems, node.Get("name").Problemf("%q is used twice; the first is at line %d", sw.Name, at.Line))
		}
		first[sw.Name] = node.Pos()
		c.switches = append(c.switches, sw)
	}
	return problems
}

// entry holds the keys that every adaptor has.
type entry struct {
	Name     string            `config:"name,required"`
	Kind     string            `config:"kind,required"`
	Type     string            `config:"type"`
	Persona  string            `config:"persona"`
	Delivery string            `config:"delivery" oneof:"end_to_end|store_on_failure|best_effort"`
	WhenFull string            `config:"when_full" oneof:"block|drop_oldest"`
	Tags     map[string]string `config:"tags"`
	filter.Keys
}

var nameRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// Validate implements config.Validator.
func (e *entry) Validate(n config.Node) config.Problems {
	var out config.Problems
	if n.Get("name").Given() && !nameRE.MatchString(e.Name) {
		out = append(out, n.Get("name").Problemf("%q must match %s", e.Name, nameRE))
	}
	return append(out, checkTags(e.Tags, n.Get("tags"), chunk.MaxTags/2)...)
}

// decodeAdaptor reads one adaptor: the common keys and those of its kind.
func decodeAdaptor(n config.Node, kinds []adaptors.Kind, personas map[string]PersonaConfig) (supervise.Spec, config.Problems) {
	var e entry
	var names []string
	spec := supervise.Spec{}
	for _, k := range kinds {
		names = append(names, k.Name)
		if k.Name == n.Get("kind").Text() {
			spec.Kind = k
		}
	}
	if spec.Kind.Name == "" {
		// The kind's keys are not known: only the kind itself can be judged.
		kind := n.Get("kind")
		if !kind.Given() {
			return spec, config.Problems{n.Problemf("key \"kind\" is missing; allowed: %s", strings.Join(names, ", "))}
		}
		hint := ""
		if near := config.Nearest(kind.Text(), names); near != "" {
			hint = "; did you mean \"" + near + "\"?"
		}
		return spec, config.Problems{kind.Problemf("%q is no kind of adaptor%s; allowed: %s", kind.Text(), hint, strings.Join(names, ", "))}
	}
	spec.Config = spec.Kind.NewConfig()
	problems := config.Decode(n, &e, spec.Config)
	switch {
	case spec.Kind.OwnTypes && e.Type != "":
		problems = append(problems, n.Get("type").Problemf("%q: adaptors of kind %s name their types themselves", e.Type, spec.Kind.Name))
	case !spec.Kind.OwnTypes && e.Type == "":
		problems = append(problems, n.Problemf("key \"type\" is missing; it is required"))
	case e.Type != "" && chunk.CheckType(e.Type) != nil:
		problems = append(problems, n.Get("type").Problemf("%q must match %s", e.Type, chunk.TypePattern))
	}
	if spec.Kind.Replayable && e.WhenFull != "" {
		problems = append(problems, n.Get("when_full").Problemf("adaptors of kind %s can read again and need no spool", spec.Kind.Name))
	}
	persona, known := personas[e.Persona]
	if e.Persona != "" && !known {
		problems = append(problems, n.Get("persona").Problemf("%q is no persona; agent.personas has: %s", e.Persona,
			strings.Join(slices.Sorted(maps.Keys(personas)), ", ")))
	}
	rules, p := filter.Decode(e.Keys, spec.Kind.Replayable)
	problems = append(problems, p...)
	spec.Entry, spec.Origin = n.Any(), "config"
	spec.Name, spec.Type, spec.Persona, spec.Filter = e.Name, e.Type, e.Persona, rules
	spec.Tags = allTags(e, persona)
	spec.Delivery = ledger.LevelOf(e.Delivery)
	spec.WhenFull = spool.Block
	if e.WhenFull == "drop_oldest" {
		spec.WhenFull = spool.DropOldest
	}
	return spec, problems
}

// allTags are the tags that an adaptor's chunks get: the persona's, its own,
// which win, and the persona itself.
func allTags(e entry, persona PersonaConfig) map[string]string {
	if e.Persona == "" {
		return e.Tags
	}
	tags := maps.Clone(persona.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	maps.Copy(tags, e.Tags)
	tags["persona"] = e.Persona
	return tags
}

func hostname(c *Config) string {
	if c.Host != "" {
		return c.Host
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "localhost"
}
