package agentd

import (
	"maps"
	"slices"
	"time"

	"github.com/akupara/akupara/agentd/internal/filter"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// PersonaConfig is a section of agent.personas: what the adaptors that name it
// share. Each persona has a buffer, posts and a share of the spool of its own,
// so that none can starve another.
type PersonaConfig struct {
	Collectors []config.URL      `config:"collectors"`                  // empty: the agent's
	Buffer     config.Size       `config:"buffer" min:"4MiB"`           // bytes of chunks on their way, beside the agent's own
	Rate       config.Size       `config:"rate" min:"1"`                // bytes a second
	Records    int64             `config:"records" min:"1"`             // records a second
	Quota      *QuotaConfig      `config:"quota"`                       // bytes in a period
	WhenOver   string            `config:"when_over" oneof:"wait|drop"` // over rate or quota
	Tags       map[string]string `config:"tags"`                        // for all chunks
	Spool      config.Size       `config:"spool" min:"1MiB"`            // of the agent's spool; 0: an equal share of the rest
}

// QuotaConfig is how much may be sent in each period.
type QuotaConfig struct {
	Bytes config.Size     `config:"bytes,required" min:"1"`
	Per   config.Duration `config:"per" min:"1m" max:"31d"`
}

// SetDefaults implements config.Defaulter.
func (q *QuotaConfig) SetDefaults() { q.Per = config.Duration(24 * time.Hour) }

// SetDefaults implements config.Defaulter.
func (p *PersonaConfig) SetDefaults() { p.Buffer, p.WhenOver = 16<<20, "wait" }

// Validate implements config.Validator.
func (p *PersonaConfig) Validate(n config.Node) config.Problems {
	var out config.Problems
	if node := n.Get("collectors"); node.Given() && len(p.Collectors) == 0 && len(node.Items()) == 0 {
		out = append(out, node.Problemf("it is empty; leave the key out to use the agent's"))
	}
	return append(out, checkTags(p.Tags, n.Get("tags"), chunk.MaxTags/4)...)
}

func checkTags(tags map[string]string, n config.Node, most int) config.Problems {
	var out config.Problems
	if len(tags) > most {
		out = append(out, n.Problemf("%d tags; at most %d are allowed", len(tags), most))
	}
	for _, k := range []string{"persona", "part"} {
		if _, own := tags[k]; own {
			out = append(out, n.Get(k).Problemf("the agent sets this tag itself"))
		}
	}
	for k, v := range tags {
		if k == "" || len(k) > 256 || len(v) > 4096 {
			out = append(out, n.Problemf("tag %q: a name has 1 to 256 bytes and a value at most 4096", k))
		}
	}
	return out
}

// maxPersonas bounds the personas: each has a buffer of its own.
const maxPersonas = 64

// checkPersonas holds what personas and the agent's bounds say against each
// other.
func (c *Config) checkPersonas(n config.Node) config.Problems {
	var out config.Problems
	if len(c.Personas) > maxPersonas {
		out = append(out, n.Get("personas").Problemf("%d personas; at most %d are allowed", len(c.Personas), maxPersonas))
	}
	var given config.Size
	without := config.Size(1) // the agent's own
	for name, p := range c.Personas {
		node := n.Get("personas").Get(name)
		if chunk.CheckType(name) != nil {
			out = append(out, node.Problemf("the name %q must match %s", name, chunk.TypePattern))
		}
		if given += p.Spool; p.Spool == 0 {
			without++
		}
	}
	if given > 0 && given+without<<20 > c.Spool.Bytes {
		out = append(out, n.Get("personas").Problemf("the personas' spool takes %s, and each that gives none has 1MiB at least; "+
			"agent.spool.bytes is %s in all", given, c.Spool.Bytes))
	}
	return out
}

// personaNames are the personas' names, sorted; the first, empty, is that of
// adaptors that name none.
func (c *Config) personaNames() []string {
	return append([]string{""}, slices.Sorted(maps.Keys(c.Personas))...)
}

// spoolShares are the bytes of the agent's spool that each persona may fill.
func (c *Config) spoolShares() map[string]int64 {
	shares := map[string]int64{}
	rest, without := int64(c.Spool.Bytes), int64(1)
	for _, p := range c.Personas {
		if rest -= int64(p.Spool); p.Spool == 0 {
			without++
		}
	}
	for _, name := range c.personaNames() {
		shares[name] = rest / without
		if p := c.Personas[name]; p.Spool > 0 {
			shares[name] = int64(p.Spool)
		}
	}
	return shares
}

// gate is what the persona's rate and quota are to the filters.
func (p *PersonaConfig) gate() filter.GateConfig {
	g := filter.GateConfig{Bytes: int64(p.Rate), Records: p.Records, Wait: p.WhenOver == "wait"}
	if p.Quota != nil {
		g.Quota, g.Per = int64(p.Quota.Bytes), p.Quota.Per.Std()
	}
	return g
}
