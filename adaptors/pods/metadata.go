package pods

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/akupara/akupara/adaptors/pods/internal/kube"
	"github.com/akupara/akupara/config"
)

// check tells what is wrong with the address, as far as the config tells.
func (m *Metadata) check() error {
	if m.URL == "" {
		return nil
	}
	u, err := url.Parse(m.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("%q is no address; want one such as https://10.0.0.1:10250", m.URL)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q: an address has no user, query or fragment", m.URL)
	}
	host := u.Hostname()
	ip := net.ParseIP(host)
	if local := host == "localhost" || ip != nil && ip.IsLoopback(); u.Scheme == "http" && !local && m.TokenFile != "" {
		return fmt.Errorf("%q: a token goes over https alone", m.URL)
	}
	return nil
}

// source makes what asks for metadata; nil where none is asked for. What the
// config leaves out is taken from the environment that pods have.
func (m *Metadata) source(env func(string) string, log *slog.Logger) (*kube.Source, error) {
	if m.From == "none" || m.From == "" {
		return nil, nil
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("prepare metadata: %w", err)
	}
	node := m.Node
	if node == "" {
		node = env("NODE_NAME")
	}
	base := strings.TrimSuffix(m.URL, "/")
	switch m.From {
	case "kubelet":
		if base == "" && node == "" {
			return nil, errors.New("prepare metadata: neither url nor node is given, nor is NODE_NAME in the environment: nobody knows where the kubelet is")
		}
		if base == "" {
			base = "https://" + net.JoinHostPort(node, "10250")
		}
		base += "/pods"
	default:
		host, port := env("KUBERNETES_SERVICE_HOST"), env("KUBERNETES_SERVICE_PORT")
		if base == "" && host == "" {
			return nil, errors.New("prepare metadata: url is not given, and KUBERNETES_SERVICE_HOST is not in the environment: nobody knows where the API server is")
		}
		if node == "" {
			return nil, errors.New("prepare metadata: node is not given, nor is NODE_NAME in the environment: the pods of all nodes would be too many")
		}
		if base == "" {
			if port == "" {
				port = "443"
			}
			base = "https://" + net.JoinHostPort(host, port)
		}
		// From the server's cache: many agents ask.
		base += "/api/v1/pods?resourceVersion=0&fieldSelector=" + url.QueryEscape("spec.nodeName="+node)
	}
	return kube.New(kube.Config{
		URL: base, TokenFile: m.TokenFile, CAFile: m.CAFile, SkipVerify: m.SkipVerify,
		Refresh: m.Refresh.Std(), Timeout: m.Timeout.Std(), Cache: m.Cache, MaxAnswer: int64(m.MaxAnswer),
		// Rules may ask for any label; of annotations there is no end.
		WantedLabel:      func(string) bool { return true },
		WantedAnnotation: func(key string) bool { return anyGlob(m.Annotations, key) },
	}, log), nil
}

// anyGlob reports whether a name matches. Names of labels have a slash, which a
// star alone would not match.
func anyGlob(globs []config.Glob, name string) bool {
	return slices.ContainsFunc(globs, func(g config.Glob) bool { return g == "*" || g == "all" || g.Match(name) })
}

// Metadata says where labels and the like come from.
type Metadata struct {
	From        string          `config:"from" oneof:"none|kubelet|api"`
	URL         string          `config:"url"`
	TokenFile   string          `config:"token_file"`
	CAFile      string          `config:"ca_file"`
	SkipVerify  bool            `config:"skip_verify"`
	Node        string          `config:"node"`
	Refresh     config.Duration `config:"refresh" min:"1s"`
	Timeout     config.Duration `config:"timeout" min:"100ms" max:"1m"`
	Cache       int             `config:"cache" min:"1" max:"100000"`
	MaxAnswer   config.Size     `config:"max_answer" min:"1KiB" max:"256MiB"`
	Labels      []config.Glob   `config:"labels"`
	Annotations []config.Glob   `config:"annotations"`
	Missing     string          `config:"when_missing" oneof:"collect|hold"`
}

// Validate implements config.Validator.
func (m *Metadata) Validate(n config.Node) config.Problems {
	if err := m.check(); err != nil && m.From != "none" {
		return config.Problems{n.Get("url").Problemf("%v", err)}
	}
	return nil
}
