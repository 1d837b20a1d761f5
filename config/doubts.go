package config

import (
	"path/filepath"
	"slices"
	"strings"
)

// Keys whose values are paths, beside those that end in _file.
var pathKeys = []string{"data_dir", "paths", "files", "directory", "root", "move_to", "cert", "client_ca", "ca", "token_file"}

// Doubts are what is right below a node, and perhaps not meant: paths with a ~, which
// nothing expands, paths that depend on where the program is started, and addresses
// that every machine reaches.
func (n Node) Doubts() (out Problems) {
	for _, f := range n.Fields() {
		path := slices.Contains(pathKeys, f.Key) || strings.HasSuffix(f.Key, "_file") || f.Key == "key" && n.Get("cert").Given()
		for _, v := range append(f.Value.Items(), f.Value) {
			if doubt, doubtful := PathDoubt(v.Text()); path && doubtful {
				out = append(out, v.Problemf("warning: %s", doubt))
			}
			if f.Key == "listen" && everywhere(v.Text()) {
				out = append(out, v.Problemf("warning: every machine that reaches this one can connect to %s: name an address, or 127.0.0.1 for this machine alone", v.Text()))
			}
		}
		out = append(out, f.Value.Doubts()...)
	}
	for _, item := range n.Items() {
		out = append(out, item.Doubts()...)
	}
	return out
}

// PathDoubt says what of a path is perhaps not meant.
func PathDoubt(path string) (doubt string, doubtful bool) {
	switch {
	case path == "":
		return "", false
	case strings.HasPrefix(path, "~"):
		return "nothing replaces the ~ in " + path + " by a home directory: write the whole path", true
	case !filepath.IsAbs(path):
		return path + " is relative, to the folder that the program is started in: write the whole path", true
	}
	return "", false
}

func everywhere(address string) bool {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	}
	for _, head := range []string{"0.0.0.0:", "[::]:", ":", "*:"} {
		if strings.HasPrefix(address, head) {
			return true
		}
	}
	return false
}
