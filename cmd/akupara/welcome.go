package main

import (
	"context"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/cmd/akupara/internal/discover"
	"github.com/akupara/akupara/cmd/akupara/internal/embedded"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/store"
)

// welcome says where everything is and what to type next: once when all runs,
// and once more when there are tables.
func (a *app) welcome(ctx context.Context, u *everything, ready <-chan struct{}) error {
	select {
	case <-ready:
	case <-ctx.Done():
		return nil
	}
	w := a.stdout
	fmt.Fprintf(w, "Akupara is up. Ctrl-C stops it; the next start goes on where it stopped.\n\n")
	if u.embedded {
		fmt.Fprintf(w, "  config     %s (made up at each start; it says how to keep your own)\n", filepath.Join(u.dataDir, embedded.ConfigName))
	} else {
		fmt.Fprintf(w, "  config     %s\n", u.Name)
	}
	fmt.Fprintf(w, "  store      %s (its %s says what lies where)\n", u.Store.V, readmeName)
	fmt.Fprintf(w, "  collector  %s\n  agent      %s\n  web        %s\n  demux      %s\n",
		u.collector.Listen, u.agent.Listen, u.web.Listen, u.demux.Listen)
	if u.web.TokenFile != "" {
		fmt.Fprintf(w, "  token      %s (who asks has to send it: curl -H \"Authorization: Bearer $(cat %s)\" http://%s/v1/tables)\n", u.web.TokenFile, u.web.TokenFile, u.web.Listen)
	}
	listFound(w, u.found)
	self := a.self
	switch {
	case a.configFile != "":
		self += " --config " + a.configFile
	case a.dataDir != defaultData:
		self += " --data " + a.dataDir
	}
	if !u.first {
		fmt.Fprintf(w, "\nIn another terminal:\n\n%s\n", nextSteps(self, u.tableNames(ctx)))
		return nil
	}
	fmt.Fprintf(w, "\nThe first tables come in a few seconds...\n")
	names := u.firstTables(ctx)
	if len(names) > 0 {
		fmt.Fprintf(w, "They are there: %s\n\nIn another terminal:\n\n%s\n", strings.Join(names, ", "), nextSteps(self, names))
	}
	return nil
}

// listFound says what is collected of the log files, and what is not.
func listFound(w io.Writer, found discover.Result) {
	for _, format := range parse.Guessed() {
		var names []string
		for _, s := range found.Sources {
			if s.Type == format {
				name, _, _ := strings.Cut(s.Glob, "{")
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			fmt.Fprintf(w, "  %-10s %s\n", format, few(names))
		}
	}
	reasons := map[string][]string{}
	var order []string
	for _, s := range found.Skipped {
		if reasons[s.Reason] == nil {
			order = append(order, s.Reason)
		}
		reasons[s.Reason] = append(reasons[s.Reason], s.Path)
	}
	for _, r := range order {
		fmt.Fprintf(w, "  skipped    %s: %s\n", r, few(reasons[r]))
	}
}

func few(names []string) string {
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], " "), len(names)-most)
	}
	return strings.Join(names, " ")
}

// tableNames are the tables that have a version.
func (u *everything) tableNames(ctx context.Context) []string {
	dirs, err := u.fs.List(ctx, store.Tables)
	if err != nil {
		return nil
	}
	var names []string
	for _, d := range dirs {
		if files, err := u.fs.List(ctx, path.Join(d.Path, "metadata")); err == nil && len(files) > 0 {
			names = append(names, path.Base(d.Path))
		}
	}
	return names
}

// firstTables waits until there are tables and no more come for a moment.
func (u *everything) firstTables(ctx context.Context) []string {
	var names []string
	for {
		if daemon.Sleep(ctx, time.Second) != nil {
			return nil
		}
		now := u.tableNames(ctx)
		if len(now) > 0 && slices.Equal(now, names) {
			return names
		}
		names = now
	}
}

// sqlName is a table's name as it stands in SQL, within a shell's double quotes.
func sqlName(table string) string {
	if strings.Contains(table, "-") || table[0] >= '0' && table[0] <= '9' {
		return `\"` + table + `\"`
	}
	return table
}

// nextSteps are commands that work on these tables.
func nextSteps(self string, tables []string) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, "  "+self+" "+format+"\n", args...) }
	say(`query "show tables"`)
	logs := append([]string{"syslog", "log4j", "combined", "json"}, parse.Guessed()...)
	if len(tables) > 0 {
		logs = append(logs, tables[0])
	}
	for _, t := range logs {
		if slices.Contains(tables, t) && t != "df" {
			say(`query "select ts, source, message from %s order by ts desc limit 10"`, sqlName(t))
			break
		}
	}
	for _, t := range []string{"df", "cpu"} {
		if slices.Contains(tables, t) {
			say(`query "select * from %s order by ts desc limit 5"`, t)
			break
		}
	}
	say("audit")
	return b.String()
}
