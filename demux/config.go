package demux

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/engine/yarn"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/steps"
)

// Config is the section "demux" of the config.
type Config struct {
	Schedule config.Schedule `config:"schedule"`
	Listen   config.Addr     `config:"listen"`
	// TokenFile is of the token that requests have to carry; without one whoever
	// reaches the address may use it.
	TokenFile string `config:"token_file"`
	// Sections are what the config says of data types, by their names. Types is
	// that, read.
	Sections map[string]config.Node `config:"types"`
	Types    map[string]TypeConfig
	// RunBytes bounds what one run takes from the sink files, in bytes of raw
	// log: memory follows from it. What is left over goes into the next run,
	// at once.
	RunBytes config.Size `config:"run_bytes" min:"1MiB" max:"4GiB"`
	// Engine is what runs are made by: this process, or a Hadoop cluster, of which
	// Yarn tells.
	Engine string      `config:"engine" oneof:"local|yarn"`
	Yarn   yarn.Config `config:"yarn"`
	// KeepArchive is the older name of retention.archive.
	KeepArchive config.Duration `config:"keep_archive"`
	// Retention says for how long data is kept, where a type says nothing else.
	Retention Retention `config:"retention"`
	// RegroupAfter is how long ago a day must have ended before its archived sink
	// files are regrouped.
	RegroupAfter config.Duration `config:"regroup_after" min:"1d"`
	// ReadersGrace is for how long data files that were replaced stay for those who
	// read older versions.
	ReadersGrace config.Duration `config:"readers_grace" min:"1m"`
	// Jobs are the schedules of jobs, by name, in place of their defaults.
	Jobs map[string]config.Value[JobSchedule] `config:"jobs"`
	// Oldest and Future bound the times that are believed: as far back from
	// now, as far ahead of the time a record was read.
	Oldest config.Duration `config:"oldest" min:"1h"`
	Future config.Duration `config:"future" min:"1m"`

	text string // of the section, for those who do its tasks elsewhere
}

// Engines by which runs are made.
const (
	engineLocal = "local"
	engineYarn  = "yarn"
)

// Spreads reports whether runs may be done by tasks of a cluster.
func (c *Config) Spreads() bool { return c.Engine == engineYarn }

// TypeConfig says how one data type is parsed, and how its table is kept. The keys
// of its section are these, and those of its Spec.
type TypeConfig struct {
	Spec     parse.Spec
	Timezone config.Value[string] `config:"timezone"`
	// StepList is what is done with the records once they are parsed. Steps is that,
	// read.
	StepList config.Node `config:"steps"`
	Steps    *steps.Steps
	// Templates says whether messages get templates; they do unless it is off, or
	// Columns has a column of a template's name.
	Templates config.Value[Switch] `config:"templates"`
	// Schedule is the type's own; without one it goes with the others.
	Schedule config.Value[config.Schedule] `config:"schedule"`
	// Bloom names columns that get bloom filters in merged data files whatever is
	// in them.
	Bloom []string `config:"bloom"`
	// Columns are columns of its table, by the keys of records: {NAME: TYPE}, or
	// {NAME: {type: TYPE, doc: TEXT}}. They are there from the first row on.
	Columns config.Node `config:"columns"`
	// ColumnTypes are columns, too: {NAME: TYPE}.
	ColumnTypes config.Node `config:"types"`
	// Retention is the type's own, key by key.
	Retention Retention `config:"retention"`
	// Jobs are schedules for the type's table alone.
	Jobs map[string]config.Value[JobSchedule] `config:"jobs"`
}

// Retention bounds what is kept of a data type. What is not given, or 0, is no
// bound.
type Retention struct {
	// Table and TableSize bound the rows: by their ts, and by the bytes of their
	// data files. What is older than the one or beyond the other is dropped, whole
	// data files at a time.
	Table     config.Value[config.Duration] `config:"table" min:"1h"`
	TableSize config.Value[config.Size]     `config:"table_size"`
	// Archive and ArchiveSize bound archived sink files: by the day they were
	// written on, whole days at a time.
	Archive     config.Value[config.Duration] `config:"archive"`
	ArchiveSize config.Value[config.Size]     `config:"archive_size"`
	// Raw is after how long a sink file is given up that can't be brought into the
	// table: what it holds is lost then, and told so.
	Raw config.Value[config.Duration] `config:"raw"`
}

// JobSchedule is when a job is due: a schedule, or off.
type JobSchedule struct{ config.Schedule }

// Want implements config.Wanter.
func (JobSchedule) Want() string { return "off, or " + config.Schedule{}.Want() }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *JobSchedule) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		s.Schedule = config.Schedule{}
		return nil
	}
	return s.Schedule.UnmarshalText(text)
}

// DefaultConfig is what holds where the config says nothing.
func DefaultConfig() Config {
	c := Config{
		RunBytes: 192 << 20,
		Engine:   engineLocal,
		Oldest:   config.Duration(50 * 365 * 24 * time.Hour),
		Future:   config.Duration(24 * time.Hour),

		RegroupAfter: config.Duration(48 * time.Hour),
		ReadersGrace: config.Duration(15 * time.Minute),
	}
	c.Yarn.SetDefaults()
	if err := c.Schedule.UnmarshalText([]byte("@every 1m")); err != nil {
		panic(err) // our own constant
	}
	return c
}

// Validate implements config.Validator.
func (c *Config) Validate(n config.Node) config.Problems {
	var problems config.Problems
	c.text = n.Source()
	if c.Engine == engineYarn {
		for _, p := range c.Yarn.Problems() {
			problems = append(problems, n.Get("yarn").Problemf("%s", p))
		}
	}
	problems = append(problems, checkJobs("demux.jobs", c.Jobs)...)
	c.Types = make(map[string]TypeConfig, len(c.Sections))
	for name, section := range c.Sections {
		if err := chunk.CheckType(name); err != nil {
			problems = append(problems, section.Problemf("%v", err))
			continue
		}
		t, wrong := ReadType(name, section)
		c.Types[name] = t
		problems = append(problems, wrong...)
	}
	return problems
}

// ReadType reads what a section says of a data type.
func ReadType(name string, section config.Node) (TypeConfig, config.Problems) {
	var t TypeConfig
	spec, problems := parse.ReadSpec(section, parse.DefaultFor(name), &t)
	t.Spec = spec
	problems = append(problems, checkJobs(section.Path()+".jobs", t.Jobs)...)
	_, wrong := t.declared()
	problems = append(problems, wrong...)
	t.Steps, wrong = steps.Read(t.StepList)
	problems = append(problems, wrong...)
	if z := t.Timezone; z.Given() {
		if _, err := time.LoadLocation(z.V); err != nil {
			problems = append(problems, z.Problemf("%s.timezone: %q is not known; want an IANA name such as UTC or Europe/Berlin", section.Path(), z.V))
		}
	}
	return t, problems
}

func checkJobs(where string, schedules map[string]config.Value[JobSchedule]) (problems config.Problems) {
	known := slices.Sorted(maps.Keys(jobSchedules))
	for _, name := range slices.Sorted(maps.Keys(schedules)) {
		if !slices.Contains(known, name) {
			problems = append(problems, schedules[name].Problemf("%s.%s: there is no such job; allowed: %s", where, name, oneOf(known)))
		}
	}
	return problems
}

// retention is what holds for one data type.
func (c *Config) retention(dataType string) Retention {
	own, r := c.Types[dataType].Retention, c.Retention
	if !r.Archive.Given() {
		r.Archive.V = c.KeepArchive
	}
	if own.Table.Given() {
		r.Table = own.Table
	}
	if own.TableSize.Given() {
		r.TableSize = own.TableSize
	}
	if own.Archive.Given() {
		r.Archive = own.Archive
	}
	if own.Raw.Given() {
		r.Raw = own.Raw
	}
	if own.ArchiveSize.Given() {
		r.ArchiveSize = own.ArchiveSize
	}
	return r
}

func oneOf(names []string) string {
	s := ""
	for i, n := range names {
		if i > 0 {
			s += ", "
		}
		s += n
	}
	return s
}

// parser makes the parser for a data type: the configured one, else the one
// that is built in for the type, else raw.
func (c *Config) parser(dataType string, now time.Time) (parse.Parser, error) {
	t := c.Type(dataType)
	p, err := t.parser(c.bounds(now))
	if err != nil {
		return nil, fmt.Errorf("type %s: %w", dataType, err)
	}
	return p, nil
}
