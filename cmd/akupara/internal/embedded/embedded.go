// Package embedded is what akupara works with where no config is given: the
// config that "akupara up" writes, and the README of a store.
package embedded

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"hash/crc32"
	"net/url"
	"path/filepath"
	"regexp"
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

// TokenName is the file of the token in a data directory, where up serves what
// others may not read.
const TokenName = "token"

// Config writes the config for the data directory dir, an absolute path. host
// is this machine's name. With token, who asks has to have read the token's file.
func Config(dir string, port int, host string, token bool, found discover.Result) []byte {
	asks, ofDemux, ofAgent := "", "", "" // whose address gives out, or changes, what is there
	if token {
		file := quote(filepath.Join(dir, TokenName))
		asks, ofDemux, ofAgent = "  token_file: "+file+"\n", "  demux_token_file: "+file+"\n", ", token_file: "+file
	}
	var b bytes.Buffer
	store := url.URL{Path: filepath.Join(dir, "store")}
	fmt.Fprintf(&b, "%s\n# To keep a version of your own elsewhere, copy it and start with --config.\n", Marker)
	fmt.Fprintf(&b, "store: %s\n", quote("file://"+store.EscapedPath()))
	fmt.Fprintf(&b, "data_dir: %s\n", quote(dir))
	fmt.Fprintf(&b, "agent:\n  collectors: [http://127.0.0.1:%d]\n  listen: 127.0.0.1:%d\n%s  adaptors:\n", port, port+1, asks)
	types := map[string]bool{}
	for _, format := range parse.Guessed() {
		for _, s := range found.Sources {
			if s.Type != format || s.Alone {
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
	for _, s := range found.Sources {
		if !s.Alone {
			continue
		}
		types[s.Type] = true
		fmt.Fprintf(&b, "    - name: %s\n      kind: tail\n      type: %s\n      paths: [%s]\n", AloneName(s.Glob), s.Type, quote(s.Glob))
		if start := cmp.Or(s.Start, parse.StartOf(s.Type)); start != "" {
			fmt.Fprintf(&b, "      record_start: %s\n", quote(start))
		}
	}
	fmt.Fprintf(&b, "    - {name: metrics, kind: metrics, every: 10s}\n")
	fmt.Fprintf(&b, "    - {name: df, kind: command, type: df, command: [df, -Pk], every: 60s}\n")
	fmt.Fprintf(&b, "collector:\n  listen: 127.0.0.1:%d\n  seal: {bytes: 128MiB, age: 60s}\n", port)
	fmt.Fprintf(&b, "demux:\n  schedule: \"@every 1m\"\n  listen: 127.0.0.1:%d\n%s  keep_archive: 7d\n", port+3, asks)
	// Each is the type's default: files of others may be found at any time.
	fmt.Fprintf(&b, "  types:\n")
	for _, format := range parse.Guessed() {
		if types[format] || format == "raw" {
			fmt.Fprintf(&b, "    %s: {parser: %s}\n", format, format)
		}
	}
	fmt.Fprintf(&b, "web:\n  listen: 127.0.0.1:%d\n%s  demux: 127.0.0.1:%d\n%s  agents: [{host: %s, url: 'http://127.0.0.1:%d'%s}]\n",
		port+2, asks, port+3, ofDemux, quote(host), port+1, ofAgent)
	return b.Bytes()
}

// quote writes a string as YAML's single-quoted scalar.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// AloneName names the adaptor of a glob that has one of its own.
func AloneName(glob string) string {
	path := discover.Plain(glob)
	base := strings.Trim(notInName.ReplaceAllString(strings.ToLower(filepath.Base(path)), "-"), "-")
	return fmt.Sprintf("file-%s-%08x", base[:min(len(base), 32)], crc32.ChecksumIEEE([]byte(path)))
}

// Known reads, from a config that was written before, what is collected, by its glob.
// What can't be read is not known.
func Known(data []byte) map[string]discover.Source {
	known := map[string]discover.Source{}
	root, _ := config.Parse(ConfigName, data)
	for _, adaptor := range root.Get("agent").Get("adaptors").Items() {
		if adaptor.Get("kind").Text() != "tail" {
			continue
		}
		for _, glob := range adaptor.Get("paths").Items() {
			s := discover.Source{Glob: glob.Text(), Type: adaptor.Get("type").Text()}
			if s.Alone = adaptor.Get("name").Text() == AloneName(s.Glob); s.Alone {
				if start := adaptor.Get("record_start").Text(); start != parse.StartOf(s.Type) {
					s.Start = start
				}
			}
			known[s.Glob] = s
		}
	}
	return known
}

// IsOurs reports whether a config was written by akupara up.
func IsOurs(data []byte) bool { return bytes.HasPrefix(data, []byte(Marker)) }
