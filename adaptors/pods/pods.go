// Package pods is the adaptor that collects the logs of a node's containers,
// as the kubelet keeps them: ROOT/NAMESPACE_POD_UID/CONTAINER/N.log, where N
// counts the container's restarts, rotated by a rename to N.log.TIME and later
// compressed to N.log.TIME.gz, deleted with the pod.
//
// A container's instance is one stream over all its files: the bytes of a
// rotated file and of the one after it follow each other in seq. Which file is
// which part of the stream is the chain (chain.go), stored before the first
// byte of each file is sent, so that no file is read twice, whatever it is
// called by then. Docker keeps a container's files in a folder of its own and
// renumbers them (place.go).
//
// One goroutine decides whose turn it is (loop.go). In its turn an instance's
// folder is listed (folder.go), it is judged which file is which (judge.go), that
// is applied (look.go), and what there is is read (read.go) and sent (send.go).
// Which adaptor collects a container, and with which stream, is decided in
// own.go. internal/cri knows where records end, internal/kube what the cluster
// knows of a pod.
//
// A stream's id is derived from the container and the first line of its first
// file. The inode takes no part: that line has a time to the nanosecond, and a
// file that was compressed since has another inode.
//
// Known limits. How much was written between the last look at a file and its
// deletion is not known where the agent did not run meanwhile: it is told as
// one lost byte, with the reason. A file that was removed whole in that time
// leaves no trace but that byte. Files are told apart by inode, birth time,
// their first KiB and the bytes before what was sent; compressed ones by their
// name and first KiB.
package pods

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/pods/internal/cri"
	"github.com/akupara/akupara/config"
)

// Config is the kind's own part of an adaptor's config.
type Config struct {
	Root string `config:"root"`
	Rules
	ExcludeSelf bool            `config:"exclude_self"` // leave the agent's own pod out
	Types       []TypeRule      `config:"types"`        // the first that matches gives the type
	Start       string          `config:"start" oneof:"beginning|end"`
	RecordStart config.Regexp   `config:"record_start"`              // matches the first message of a multi-line record
	Timeout     config.Duration `config:"record_timeout" min:"10ms"` // an unfinished record of a still log ends
	MaxRecord   config.Size     `config:"max_record" min:"4KiB" max:"8MiB"`
	Watch       string          `config:"watch" oneof:"auto|poll"`
	Rescan      config.Duration `config:"rescan" min:"10ms"`
	Metadata    Metadata        `config:"metadata"`
}

// DefaultConfig is what holds where a key is not given.
func DefaultConfig() Config {
	return Config{
		Root:        "/var/log/pods",
		ExcludeSelf: true,
		Start:       "beginning",
		Timeout:     config.Duration(5 * time.Second),
		MaxRecord:   1 << 20,
		Watch:       "auto",
		Rescan:      config.Duration(30 * time.Second),
		Metadata: Metadata{
			From:      "none",
			Refresh:   config.Duration(time.Minute),
			Timeout:   config.Duration(5 * time.Second),
			Cache:     4096,
			MaxAnswer: 64 << 20,
			Labels:    []config.Glob{"app", "app.kubernetes.io/*"},
			Missing:   "collect",
		},
	}
}

// Validate implements config.Validator.
func (c *Config) Validate(n config.Node) config.Problems {
	var out config.Problems
	if node := n.Get("root"); node.Given() && (c.Root == "" || c.Root[0] != '/') {
		out = append(out, node.Problemf("%q is no absolute path", c.Root))
	}
	if c.Metadata.From == "none" && c.Rules.needsMetadata() {
		out = append(out, n.Problemf("labels are asked for, which only metadata knows; set metadata.from to kubelet or api"))
	}
	for i, t := range c.Types {
		if c.Metadata.From == "none" && len(t.Match.Labels) > 0 {
			out = append(out, n.Get("types").Problemf("[%d] asks for labels, which only metadata knows; set metadata.from to kubelet or api", i))
		}
	}
	return out
}

// Needs implements adaptors.Needer. The kind can't be bound to folders
// (adaptors.Rooter): with Docker, logs are links to wherever its data lies, so
// that it is added in the config alone. Switches and reload change what it
// collects while it runs.
func (c *Config) Needs() []adaptors.Need {
	needs := []adaptors.Need{{What: adaptors.File, Value: c.Root + "/**"}}
	for _, path := range []string{c.Metadata.TokenFile, c.Metadata.CAFile} {
		if path != "" {
			needs = append(needs, adaptors.Need{What: adaptors.File, Value: path})
		}
	}
	if c.Metadata.URL != "" {
		needs = append(needs, adaptors.Need{What: adaptors.URL, Value: c.Metadata.URL})
	}
	return needs
}

// Kind describes the kind to the agent.
func Kind() adaptors.Kind {
	return adaptors.Make("pods", "collects the logs of a Kubernetes node's pods",
		DefaultConfig, New, adaptors.Rewindable, adaptors.Message(cri.Message))
}

// patterns are the paths in which containers that may match have their logs.
// Namespaces that are not collected are not even watched.
func (c *Config) patterns() (include, exclude []string) {
	root := escapeGlob(filepath.Clean(c.Root))
	include = []string{root + "/*_*_*/*/*.log*"}
	if len(c.Namespaces) > 0 {
		include = nil
		for _, g := range c.Namespaces {
			include = append(include, root+"/"+string(g)+"_*_*/*/*.log*")
		}
	}
	for _, g := range c.ExcludeNamespaces {
		exclude = append(exclude, root+"/"+string(g)+"_*_*")
	}
	return include, exclude
}

// Globs implements adaptors.Globber, as far as names tell. Which pods have which
// labels only the cluster knows: with labels, it tells nothing.
func (c *Config) Globs() (include, exclude []string) {
	if c.needsMetadata() {
		return nil, nil
	}
	root := escapeGlob(filepath.Clean(c.Root))
	given := func(globs []config.Glob) []config.Glob {
		if len(globs) == 0 {
			return []config.Glob{"*"}
		}
		return globs
	}
	for _, ns := range given(c.Namespaces) {
		for _, pod := range given(c.Pods) {
			for _, name := range given(c.Containers) {
				include = append(include, root+"/"+string(ns)+"_"+string(pod)+"_*/"+string(name)+"/*.log*")
			}
		}
	}
	for _, ns := range c.ExcludeNamespaces {
		exclude = append(exclude, root+"/"+string(ns)+"_*_*")
	}
	for _, pod := range c.ExcludePods {
		exclude = append(exclude, root+"/*_"+string(pod)+"_*")
	}
	for _, name := range c.ExcludeContainers {
		exclude = append(exclude, root+"/*/"+string(name))
	}
	return include, exclude
}

func escapeGlob(path string) string {
	var b strings.Builder
	for _, r := range path {
		if strings.ContainsRune(`\*?[]{}`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// typeOf is the data type of a container's chunks; empty: the adaptor's own.
func (c *Config) typeOf(ct *container, labels map[string]string) string {
	for _, t := range c.Types {
		if t.Match.matches(ct, labels) {
			return t.Type
		}
	}
	return ""
}
