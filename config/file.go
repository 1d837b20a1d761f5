package config

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"strings"
)

// File is a whole config. The sections stay Nodes: each daemon decodes its own
// into its own Config, and is not bothered by the others'.
type File struct {
	Name      string // the file's name, as problems show it
	Store     Value[Store]
	DataDir   Value[string]
	Agent     Node
	Collector Node
	Demux     Node
	Web       Node
}

// fileKeys are the keys at the top of a config.
type fileKeys struct {
	Store     Value[Store]  `config:"store,required"`
	DataDir   Value[string] `config:"data_dir,required"`
	Agent     Node          `config:"agent"`
	Collector Node          `config:"collector"`
	Demux     Node          `config:"demux"`
	Web       Node          `config:"web"`
}

// Validate implements Validator.
func (f *fileKeys) Validate(Node) Problems {
	if f.DataDir.Given() && f.DataDir.V == "" {
		return Problems{f.DataDir.Problemf("data_dir: it is empty; want the path of a folder")}
	}
	return nil
}

// ParseFile parses a config and decodes its top. It gives what it could read
// also where there are problems, so that the sections can be checked as well.
func ParseFile(name string, data []byte) (File, Problems) {
	root, problems := Parse(name, data)
	keys := fileKeys{}
	if len(problems) == 0 || root.Given() {
		problems = append(problems, Decode(root, &keys)...)
	}
	f := File{name, keys.Store, keys.DataDir, keys.Agent, keys.Collector, keys.Demux, keys.Web}
	for key, n := range map[string]*Node{"agent": &f.Agent, "collector": &f.Collector, "demux": &f.Demux, "web": &f.Web} {
		if !n.Given() {
			*n = Node{file: name, path: key}
		}
	}
	return f, problems
}

// Read reads the config file at path, and no more of it than tells that it is
// too large. hash is the SHA-256 of what was read, in hex.
func Read(path string) (data []byte, hash string, err error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("read config: %w", err)
	}
	defer r.Close()
	if data, err = io.ReadAll(io.LimitReader(r, MaxBytes+1)); err != nil {
		return nil, "", fmt.Errorf("read config: %w", err)
	}
	return data, fmt.Sprintf("%x", sha256.Sum256(data)), nil
}

// Load reads and parses the config file at path. The error is that of reading.
func Load(path string) (File, Problems, error) {
	data, _, err := Read(path)
	if err != nil {
		return File{}, nil, err
	}
	f, problems := ParseFile(path, data)
	return f, problems, nil
}

// Store is where a store is: file:///path, or hdfs://host:port/path, which may
// name several NameNodes separated by commas, or be a name of Hadoop's own
// config without a port.
type Store struct {
	Scheme string // "file" or "hdfs"
	Hosts  string // host:port,… ; empty for file
	Path   string // absolute and clean
}

func (s Store) String() string {
	u := url.URL{Scheme: s.Scheme, Host: s.Hosts, Path: s.Path}
	if s.Scheme == "file" {
		return "file://" + u.EscapedPath()
	}
	return u.String()
}

// Want implements Wanter.
func (Store) Want() string {
	return "a store's URI, such as file:///var/lib/akupara/store or hdfs://127.0.0.1:8020/akupara"
}

// MarshalText implements encoding.TextMarshaler.
func (s Store) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Store) UnmarshalText(text []byte) error {
	raw := string(text)
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || scheme != "file" && scheme != "hdfs" {
		return fmt.Errorf("it must start with file:// or hdfs://")
	}
	hosts, dir, _ := strings.Cut(rest, "/")
	dir, err := url.PathUnescape("/" + dir)
	if err != nil {
		return fmt.Errorf("its path can't be read: %w", err)
	}
	out := Store{scheme, hosts, path.Clean(dir)}
	switch {
	case strings.ContainsAny(raw, "?#\x00"):
		return fmt.Errorf("it must not have a query or a fragment")
	case out.Path == "/":
		return fmt.Errorf("it has no path; a store has a folder of its own")
	case scheme == "file" && hosts != "":
		return fmt.Errorf("a host, %q, is not allowed with file://; a path starts with a third slash", hosts)
	case scheme == "hdfs":
		for _, h := range strings.Split(hosts, ",") {
			if h != "" && !strings.ContainsAny(h, ":@ \t") && h == hosts {
				continue // a name of HADOOP_CONF_DIR's hdfs-site.xml
			}
			if err := checkHostPort(h); err != nil {
				return fmt.Errorf("NameNode %q: %w", h, err)
			}
			if strings.HasPrefix(h, ":") {
				return fmt.Errorf("NameNode %q: the host is missing", h)
			}
		}
	}
	*s = out
	return nil
}
