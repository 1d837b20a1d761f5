// Package embedded is what akupara works with where no config is given: the
// config that "akupara up" writes, and the README of a store.
package embedded

import (
	"bytes"
	_ "embed"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/akupara/akupara/cmd/akupara/internal/discover"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/parse"
)

// Marker is the first line of a config that akupara up wrote, and writes anew
// at each start. Without it the file is the user's own.
const Marker = `# Written by "akupara up" at each start. Delete this line, and the file is yours: up then takes it as it is.`

// ConfigName is the config's file in a data directory.
const ConfigName = "akupara.yaml"

// FirstPort is the first of the four ports on loopback: collector, agent, web
// and demux, in this order.
const FirstPort = 9770

// StoreReadme tells whoever finds a store what lies where in it.
//
//go:embed store-readme.md
var StoreReadme []byte

// Config writes the config for the data directory dir, an absolute path. host
// is this machine's name.
func Config(dir string, port int, host string, found discover.Result) []byte {
	var b bytes.Buffer
	store := url.URL{Path: filepath.Join(dir, "store")}
	fmt.Fprintf(&b, "%s\n# To keep a version of your own elsewhere, copy it and start with --config.\n", Marker)
	fmt.Fprintf(&b, "store: %s\n", quote("file://"+store.EscapedPath()))
	fmt.Fprintf(&b, "data_dir: %s\n", quote(dir))
	fmt.Fprintf(&b, "agent:\n  collectors: [http://127.0.0.1:%d]\n  listen: 127.0.0.1:%d\n  adaptors:\n", port, port+1)
	types := map[string]bool{}
	for _, format := range parse.Guessed() {
		for _, s := range found.Sources {
			if s.Type != format {
				continue
			}
			if !types[format] {
				types[format] = true
				fmt.Fprintf(&b, "    - name: %s\n      kind: tail\n      type: %s\n      paths:\n", format, format)
			}
			fmt.Fprintf(&b, "        - %s\n", quote(s.Glob))
		}
		if start := parse.StartOf(format); start != "" && types[format] {
			// Stack traces belong to the record before them.
			fmt.Fprintf(&b, "      record_start: %s\n", quote(start))
		}
	}
	fmt.Fprintf(&b, "    - {name: metrics, kind: metrics, every: 10s}\n")
	fmt.Fprintf(&b, "    - {name: df, kind: command, type: df, command: [df, -Pk], every: 60s}\n")
	fmt.Fprintf(&b, "collector:\n  listen: 127.0.0.1:%d\n  seal: {bytes: 128MiB, age: 60s}\n", port)
	fmt.Fprintf(&b, "demux:\n  schedule: \"@every 1m\"\n  listen: 127.0.0.1:%d\n  keep_archive: 7d\n", port+3)
	// Each is the type's default: files of others may be found at any time.
	fmt.Fprintf(&b, "  types:\n")
	for _, format := range parse.Guessed() {
		if types[format] || format == "raw" {
			fmt.Fprintf(&b, "    %s: {parser: %s}\n", format, format)
		}
	}
	fmt.Fprintf(&b, "web:\n  listen: 127.0.0.1:%d\n  demux: 127.0.0.1:%d\n  agents: [{host: %s, url: 'http://127.0.0.1:%d'}]\n",
		port+2, port+3, quote(host), port+1)
	return b.Bytes()
}

// quote writes a string as YAML's single-quoted scalar.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// KnownTypes reads, from a config that was written before, which glob has
// which type. What can't be read is not known.
func KnownTypes(data []byte) map[string]string {
	known := map[string]string{}
	root, _ := config.Parse(ConfigName, data)
	for _, adaptor := range root.Get("agent").Get("adaptors").Items() {
		if adaptor.Get("kind").Text() != "tail" {
			continue
		}
		for _, glob := range adaptor.Get("paths").Items() {
			known[glob.Text()] = adaptor.Get("type").Text()
		}
	}
	return known
}

// IsOurs reports whether a config was written by akupara up.
func IsOurs(data []byte) bool { return bytes.HasPrefix(data, []byte(Marker)) }
