package pods

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// Rules say which containers are collected: those that match one pattern of
// each list that is given, all labels, and nothing that excludes them.
type Rules struct {
	Namespaces        []config.Glob          `config:"namespaces"`
	ExcludeNamespaces []config.Glob          `config:"exclude_namespaces"`
	Pods              []config.Glob          `config:"pods"`
	ExcludePods       []config.Glob          `config:"exclude_pods"`
	Containers        []config.Glob          `config:"containers"`
	ExcludeContainers []config.Glob          `config:"exclude_containers"`
	Labels            map[string]config.Glob `config:"labels"`
	ExcludeLabels     map[string]config.Glob `config:"exclude_labels"`
}

// TypeRule gives the containers that match a data type of their own.
type TypeRule struct {
	Match TypeMatch `config:"match,required"`
	Type  string    `config:"type,required"`
}

// TypeMatch is what must all match; what is not given matches everything.
type TypeMatch struct {
	Namespace config.Glob            `config:"namespace"`
	Pod       config.Glob            `config:"pod"`
	Container config.Glob            `config:"container"`
	Labels    map[string]config.Glob `config:"labels"`
}

// Validate implements config.Validator.
func (t *TypeRule) Validate(n config.Node) config.Problems {
	if node := n.Get("type"); node.Given() && chunk.CheckType(t.Type) != nil {
		return config.Problems{node.Problemf("%q must match %s", t.Type, chunk.TypePattern)}
	}
	return nil
}

func (r *Rules) needsMetadata() bool { return len(r.Labels)+len(r.ExcludeLabels) > 0 }

// names reports whether a container is collected as far as its names tell.
func (r *Rules) names(c *container) bool {
	return listed(r.Namespaces, r.ExcludeNamespaces, c.namespace) &&
		listed(r.Pods, r.ExcludePods, c.pod) &&
		listed(r.Containers, r.ExcludeContainers, c.name)
}

func listed(include, exclude []config.Glob, name string) bool {
	match := func(g config.Glob) bool { return g.Match(name) }
	return (len(include) == 0 || slices.ContainsFunc(include, match)) && !slices.ContainsFunc(exclude, match)
}

// labels reports whether a pod with these labels is collected.
func (r *Rules) labels(labels map[string]string) bool {
	if !all(r.Labels, labels) {
		return false
	}
	for k, g := range r.ExcludeLabels {
		if v, ok := labels[k]; ok && g.Match(v) {
			return false
		}
	}
	return true
}

func all(want map[string]config.Glob, labels map[string]string) bool {
	for k, g := range want {
		if v, ok := labels[k]; !ok || !g.Match(v) {
			return false
		}
	}
	return true
}

// matches reports whether the rule is for the container. labels are nil where
// they are not known.
func (t *TypeMatch) matches(c *container, labels map[string]string) bool {
	is := func(g config.Glob, name string) bool { return g == "" || g.Match(name) }
	return is(t.Namespace, c.namespace) && is(t.Pod, c.pod) && is(t.Container, c.name) && all(t.Labels, labels)
}

// container is one instance of a container, as its path names it.
type container struct {
	dir                       string // below the root: NAMESPACE_POD_UID/CONTAINER
	namespace, pod, uid, name string
	restart                   int
}

// key names the instance: its log's path below the root.
func (c *container) key() string { return c.dir + "/" + strconv.Itoa(c.restart) + ".log" }

// logName is the name of the file that is written to.
func (c *container) logName() string { return strconv.Itoa(c.restart) + ".log" }

func (c *container) tags() map[string]string {
	return map[string]string{
		"namespace": c.namespace, "pod": c.pod, "container": c.name,
		"pod_uid": c.uid, "restart": strconv.Itoa(c.restart),
	}
}

// parsePath reads the path of a log file below the root, whatever its name is
// now; ok is false for what is none.
func parsePath(rel string) (c container, n name, ok bool) {
	dir, file := filepath.Split(rel)
	podDir, containerName, ok := strings.Cut(strings.TrimSuffix(dir, "/"), "/")
	if !ok || containerName == "" || strings.Contains(containerName, "/") {
		return c, n, false
	}
	if n, ok = parseName(file); !ok {
		return c, n, false
	}
	first, last := strings.IndexByte(podDir, '_'), strings.LastIndexByte(podDir, '_')
	if first <= 0 || last <= first+1 || last == len(podDir)-1 {
		return c, n, false
	}
	return container{
		dir: podDir + "/" + containerName, namespace: podDir[:first], pod: podDir[first+1 : last],
		uid: podDir[last+1:], name: containerName, restart: n.restart,
	}, n, true
}

// name is what a log file's name tells.
type name struct {
	restart int
	rotated string // when, as the kubelet writes it; empty: not rotated
	gz      bool
}

var nameRE = regexp.MustCompile(`^(\d{1,9})\.log(?:\.(\d{8}-\d{6}(?:[.-]\d{1,9})?)(\.gz)?)?$`)

func parseName(file string) (name, bool) {
	m := nameRE.FindStringSubmatch(file)
	if m == nil {
		return name{}, false
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || strconv.Itoa(n) != m[1] {
		return name{}, false
	}
	return name{restart: n, rotated: m[2], gz: m[3] != ""}, true
}

// maxOwnTags bounds the tags of labels and annotations: the config's own and
// the agent's need room beside them.
const maxOwnTags = 20

// withPrefix adds what the patterns select, in the order of the names. It
// reports whether there was room for all.
func withPrefix(tags map[string]string, prefix string, from map[string]string, globs []config.Glob, room *int) bool {
	for _, k := range slices.Sorted(maps.Keys(from)) {
		if !anyGlob(globs, k) {
			continue
		}
		if *room == 0 {
			return false
		}
		*room--
		v := from[k]
		if len(v) > maxTagValue {
			v = strings.ToValidUTF8(v[:maxTagValue], "")
		}
		tags[prefix+k] = v
	}
	return true
}

// maxTagValue is the most bytes of an annotation that go into a tag.
const maxTagValue = 4096

// self reports whether a container is of the pod that the agent runs in.
func self(c *container, env func(string) string) bool {
	pod, ns := env("POD_NAME"), env("POD_NAMESPACE")
	if pod == "" && env("KUBERNETES_SERVICE_HOST") != "" {
		pod = env("HOSTNAME")
	}
	return pod != "" && c.pod == pod && (ns == "" || ns == c.namespace)
}
