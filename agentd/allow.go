package agentd

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/agentd/internal/supervise"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon"
)

// checkAllow checks what adaptors that are added over REST may reach.
func (c *Config) checkAllow(n config.Node) config.Problems {
	var out config.Problems
	each := func(key string, values []string, wrong func(string) string) {
		items := n.Get(key).Items()
		for i, v := range values {
			if reason := wrong(v); reason != "" && i < len(items) {
				out = append(out, items[i].Problemf("%q %s", v, reason))
			}
		}
	}
	folder := func(v string) string {
		if !filepath.IsAbs(v) || strings.ContainsAny(v, "*?[{") {
			return "is no folder's absolute path without patterns, such as /var/log"
		}
		return ""
	}
	each("allow_paths", c.AllowPaths, folder)
	each("allow_writes", c.AllowWrites, folder)
	each("allow_commands", c.Allow, func(v string) string {
		if v == "" || strings.Contains(v, "/") && (!filepath.IsAbs(v) || filepath.Clean(v) != v) {
			return "is neither a program's plain absolute path, such as /usr/bin/df, nor a name that is found in PATH"
		}
		return ""
	})
	each("allow_listen", c.AllowListen, func(v string) string {
		if _, _, err := net.SplitHostPort(v); err != nil && !filepath.IsAbs(v) {
			return "is no host:port, where either may be *, and no socket's path"
		}
		return ""
	})
	each("allow_urls", c.AllowURLs, func(v string) string {
		if u, err := url.Parse(v); err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return "is no beginning of URLs, such as https://stats.example.org/api, or tcp://host:port"
		}
		return ""
	})
	each("hosts", c.Hosts, func(v string) string {
		if v == "" || strings.ContainsAny(v, ":/*@ ") {
			return "is no plain name of this machine, such as node7.example.org"
		}
		return ""
	})
	return out
}

// admit says why an entry may not be added over REST, nil if it may, and
// binds its adaptor to the folders that are allowed. own is the config's entry
// of the same name, if any: one that replaces it and differs in keys alone that
// the agent reads itself (delivery, tags, drop, …) is trusted as that is; else
// it may read the same files. Its program may not be run: it would have other
// arguments.
func (c *Config) admit(spec *supervise.Spec, own *supervise.Spec) error {
	needs, ok := needsOf(spec)
	if !ok {
		return fmt.Errorf("%w: adaptors of kind %s can be added in the config only", errForbidden, spec.Kind.Name)
	}
	if own != nil && kindKeys(own.Entry) == kindKeys(spec.Entry) {
		return nil
	}
	var trusted []adaptors.Need
	if own != nil && own.Kind.Name == spec.Kind.Name {
		trusted, _ = needsOf(own)
	}
	if reachesOut(needs) || reachesOut(trusted) { // a token, say, must not be sent elsewhere
		trusted = nil
	}
	bound := false
	for _, need := range needs {
		if need.What == adaptors.File && slices.Contains(trusted, need) {
			continue
		}
		if err := c.allows(need); err != nil {
			return err
		}
		bound = bound || need.What == adaptors.File || need.What == adaptors.Change
	}
	if !bound {
		return nil
	}
	rooter, ok := spec.Config.(adaptors.Rooter)
	if !ok {
		return fmt.Errorf("%w: adaptors of kind %s read files, and can't be bound to agent.allow_paths: add it in the config", errForbidden, spec.Kind.Name)
	}
	roots := slices.Concat(adaptors.Roots{}, c.AllowPaths, c.AllowWrites)
	for _, need := range trusted { // beside what the config's own entry reads
		if need.What == adaptors.File || need.What == adaptors.Change {
			return fmt.Errorf("%w: adaptor %q is the config's own, and reads what it names there: change its files in the config", errForbidden, spec.Name)
		}
	}
	if slices.ContainsFunc(needs, func(n adaptors.Need) bool { return n.What == adaptors.Change }) {
		changer, ok := spec.Config.(adaptors.Changer)
		if !ok {
			return fmt.Errorf("%w: adaptors of kind %s change files, and can't be bound to agent.allow_writes: add it in the config", errForbidden, spec.Kind.Name)
		}
		changer.SetChangeRoots(slices.Concat(adaptors.Roots{}, c.AllowWrites))
	}
	spec.Roots = roots
	rooter.SetRoots(roots)
	return nil
}

// reachesOut reports whether an adaptor does more than read files.
func reachesOut(needs []adaptors.Need) bool {
	return slices.ContainsFunc(needs, func(n adaptors.Need) bool { return n.What != adaptors.File })
}

// kindKeys are an entry's kind and the keys that the kind reads.
func kindKeys(entry any) string {
	m, _ := entry.(map[string]any)
	own := maps.Clone(m)
	for _, key := range adaptors.CommonKeys() {
		if key != "kind" {
			delete(own, key)
		}
	}
	return config.Fingerprint(own)
}

// needsOf returns what an entry's adaptor reaches for; ok is false if its kind
// does not say.
func needsOf(spec *supervise.Spec) (needs []adaptors.Need, ok bool) {
	n, ok := spec.Config.(adaptors.Needer)
	if !ok {
		return nil, false
	}
	return n.Needs(), true
}

func (c *Config) allows(need adaptors.Need) error {
	switch need.What {
	case adaptors.Program:
		if !slices.Contains(c.Allow, need.Value) {
			return fmt.Errorf("%w: the program %q is not in the config's agent.allow_commands", errForbidden, need.Value)
		}
	case adaptors.File:
		if err := adaptors.Roots(append([]string{}, c.AllowPaths...)).HoldsPattern(need.Value); err != nil {
			return fmt.Errorf("%w: %w: %s", errForbidden, err, listed("agent.allow_paths", c.AllowPaths))
		}
	case adaptors.Change:
		if err := adaptors.Roots(append([]string{}, c.AllowWrites...)).HoldsPattern(need.Value); err != nil {
			return fmt.Errorf("%w: files are moved or deleted: %w: %s", errForbidden, err, listed("agent.allow_writes", c.AllowWrites))
		}
	case adaptors.Listen:
		if _, _, err := net.SplitHostPort(need.Value); err != nil && !slices.Contains(c.AllowListen, need.Value) {
			return fmt.Errorf("%w: the socket %q is not in the config's agent.allow_listen", errForbidden, need.Value)
		}
		if !c.allowsListen(need.Value) {
			return fmt.Errorf("%w: the address %q is open to other machines and not in the config's agent.allow_listen", errForbidden, need.Value)
		}
	case adaptors.URL:
		if !slices.ContainsFunc(c.AllowURLs, func(prefix string) bool { return beginsWith(need.Value, prefix) }) {
			return fmt.Errorf("%w: %q does not begin with any of the config's agent.allow_urls", errForbidden, config.RedactURL(need.Value))
		}
	default:
		return fmt.Errorf("%w: it needs a %s, which can't be allowed over REST", errForbidden, need.What)
	}
	return nil
}

func listed(key string, values []string) string {
	if len(values) == 0 {
		return key + " names none"
	}
	return key + " names " + strings.Join(values, ", ")
}

func (c *Config) allowsListen(address string) bool {
	if slices.Contains(c.AllowListen, address) {
		return true
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false // a socket's path: only as it is listed
	}
	if daemon.IsLocal("tcp", address) {
		return true
	}
	return slices.ContainsFunc(c.AllowListen, func(allowed string) bool {
		h, p, err := net.SplitHostPort(allowed)
		return err == nil && (h == "*" || h == host) && (p == "*" || p == port)
	})
}

// beginsWith reports whether a URL is below a prefix: of the same scheme, host and
// port, its path the prefix's or below it.
func beginsWith(raw, prefix string) bool {
	u, err := url.Parse(raw)
	p, perr := url.Parse(prefix)
	if err != nil || perr != nil || u.Opaque != "" {
		return false
	}
	if !strings.EqualFold(u.Scheme, p.Scheme) || hostPort(u) != hostPort(p) || strings.Contains(u.EscapedPath(), "..") || strings.Contains(u.Path, "..") {
		return false
	}
	dir := strings.TrimSuffix(p.Path, "/")
	return u.Path == dir || strings.HasPrefix(u.Path, dir+"/")
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}
