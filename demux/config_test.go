package demux

import (
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/config"
)

func decoded(text string) (Config, config.Problems) {
	c := DefaultConfig()
	root, problems := config.Parse("f", []byte(text))
	return c, append(problems, config.Decode(root, &c)...)
}

func TestRetentionAndSchedulesOfTypesAreTheirOwn(t *testing.T) {
	root, problems := config.Parse("f", []byte(`
keep_archive: 7d
retention: {table: 90d, table_size: 100GiB}
jobs: {expire: "CRON_TZ=Africa/Cairo 0 0 * * 7", retain: off}
types:
  own: {retention: {table: 2w, archive: 0}, jobs: {retain: "@every 1d"}, bloom: [id]}
`))
	c := DefaultConfig()
	if problems = append(problems, config.Decode(root, &c)...); len(problems) > 0 {
		t.Fatal(problems)
	}
	const day = 24 * time.Hour
	all, own := c.retention("all"), c.retention("own")
	if all.Table.V.Std() != 90*day || all.TableSize.V != 100<<30 || all.Archive.V.Std() != 7*day {
		t.Errorf("of all: got %+v", all)
	}
	if own.Table.V.Std() != 14*day || own.TableSize.V != 100<<30 || own.Archive.V != 0 {
		t.Errorf("of the type with its own: got %+v", own)
	}
	for _, want := range []struct{ job, dataType, schedule string }{
		{"expire", "", "CRON_TZ=Africa/Cairo 0 0 * * 7"}, {"retain", "", ""}, {"retain", "own", "@every 1d"},
		{"compact", "", jobSchedules["compact"]}, {"redo", "", ""},
	} {
		if got := c.jobSchedule(want.job, want.dataType); got.String() != want.schedule || (got.Schedule == nil) != (want.schedule == "") {
			t.Errorf("%s of %q is due %q, want %q", want.job, want.dataType, got, want.schedule)
		}
	}
}

func TestJobsThatAreNoneAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"jobs: {tidy: off}":               "f:1:14: demux.jobs.tidy: there is no such job; allowed: compact, expire, regroup, retain",
		"types: {a: {jobs: {redo: off}}}": "types.a.jobs.redo: there is no such job; allowed: compact, expire, regroup, retain",
		"regroup_after: 12h":              `regroup_after`,
		"readers_grace: 10s":              `readers_grace`,
		"jobs: {retain: never}":           `"never" is not off, or a schedule`,
		"retention: {table: 10m}":         `"10m" is not allowed; want a duration`,
	} {
		if _, problems := decoded(text); len(problems) != 1 || !strings.Contains(problems[0].String(), want) {
			t.Errorf("%s: got %v, want %s", text, problems, want)
		}
	}
}
