package kube

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// client asks for a v1.PodList: the kubelet at /pods, the API server at
// /api/v1/pods (Kubernetes API reference, "List Pods").
type client struct {
	cfg  Config
	http *http.Client
	ca   []byte // what http trusts
}

// maxFile bounds the files of token and certificates.
const maxFile = 1 << 20

// pods asks once. What came before an error is given with it. It is nobody's
// but Run's.
func (c *client) pods(ctx context.Context) (map[string]Pod, error) {
	if err := c.connect(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.cfg.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("ask for pods: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	if c.cfg.TokenFile != "" {
		token, err := readFile(c.cfg.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("read the token: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask for pods: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
		return nil, fmt.Errorf("ask for pods: %s answers %s: %s", req.URL.Host, resp.Status, bytes.TrimSpace(text))
	}
	body := &bounded{r: resp.Body, left: c.cfg.MaxAnswer}
	pods, err := c.decode(body)
	if body.left < 0 {
		err = fmt.Errorf("the answer is longer than max_answer, %d bytes; the pods in its rest are not known", c.cfg.MaxAnswer)
	}
	return pods, err
}

// connect makes the HTTP client, anew when the certificates have changed.
func (c *client) connect() error {
	var ca []byte
	if c.cfg.CAFile != "" {
		var err error
		if ca, err = readFile(c.cfg.CAFile); err != nil {
			return fmt.Errorf("read the certificates to trust: %w", err)
		}
	}
	if c.http != nil && bytes.Equal(ca, c.ca) {
		return nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.cfg.SkipVerify} //nolint:gosec // the config's own wish
	if ca != nil {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(ca) {
			return fmt.Errorf("read the certificates to trust: %s holds none in PEM", c.cfg.CAFile)
		}
	}
	c.close()
	c.ca = ca
	c.http = &http.Client{
		Transport: &http.Transport{TLSClientConfig: conf, MaxIdleConns: 1, IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: true},
		// The token is for one address alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return nil
}

func (c *client) close() {
	if c.http != nil {
		c.http.CloseIdleConnections()
	}
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return b, err
}

// bounded ends with an error once more was read than is allowed; left is
// negative then.
type bounded struct {
	r    io.Reader
	left int64
}

var errTooLong = errors.New("it is too long")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooLong
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left+1)])
	b.left -= int64(n)
	if b.left < 0 {
		return max(n-1, 0), errTooLong
	}
	return n, err
}

// item is what is of use of a v1.Pod.
type item struct {
	Metadata struct {
		UID             string
		Labels          map[string]string
		Annotations     map[string]string
		OwnerReferences []struct {
			Kind, Name string
			Controller bool
		}
	}
	Spec struct{ NodeName string }
}

// decode reads a list, one pod after the other.
func (c *client) decode(r io.Reader) (map[string]Pod, error) {
	d := json.NewDecoder(r)
	out := map[string]Pod{}
	if err := expect(d, json.Delim('{')); err != nil {
		return nil, err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return out, fmt.Errorf("read the list of pods: %w", err)
		}
		if key != "items" {
			var skipped json.RawMessage
			if err := d.Decode(&skipped); err != nil {
				return out, fmt.Errorf("read the list of pods: %w", err)
			}
			continue
		}
		first, err := d.Token()
		if err != nil {
			return out, fmt.Errorf("read the list of pods: %w", err)
		}
		if first == nil {
			continue // no pods
		}
		if first != json.Delim('[') {
			return out, fmt.Errorf("read the list of pods: items are %v", first)
		}
		for d.More() {
			var it item
			if err := d.Decode(&it); err != nil {
				return out, fmt.Errorf("read the list of pods: %w", err)
			}
			if len(out) < c.cfg.Cache {
				c.add(out, &it)
			}
		}
		if err := expect(d, json.Delim(']')); err != nil {
			return out, err
		}
	}
	return out, expect(d, json.Delim('}'))
}

func expect(d *json.Decoder, want json.Delim) error {
	got, err := d.Token()
	if err != nil {
		return fmt.Errorf("read the list of pods: %w", err)
	}
	if got != want {
		return fmt.Errorf("read the list of pods: got %v, want %v", got, want)
	}
	return nil
}

// Annotations of static pods: the path of their logs has the hash of their
// config as uid, the API's mirror of them another.
const (
	configHash   = "kubernetes.io/config.hash"
	configMirror = "kubernetes.io/config.mirror"
)

func (c *client) add(out map[string]Pod, it *item) {
	m := &it.Metadata
	p := Pod{Node: it.Spec.NodeName, Labels: keep(m.Labels, c.cfg.WantedLabel), Annotations: keep(m.Annotations, c.cfg.WantedAnnotation)}
	for _, o := range m.OwnerReferences {
		if !o.Controller {
			continue
		}
		kind, name := o.Kind, o.Name
		if hash := m.Labels["pod-template-hash"]; kind == "ReplicaSet" && hash != "" && strings.HasSuffix(name, "-"+hash) {
			kind, name = "Deployment", strings.TrimSuffix(name, "-"+hash)
		}
		p.Owner = kind + "/" + name
	}
	for _, uid := range []string{m.UID, m.Annotations[configHash], m.Annotations[configMirror]} {
		if uid != "" {
			out[uid] = p
		}
	}
}

func keep(all map[string]string, wanted func(string) bool) map[string]string {
	out := map[string]string{}
	for k, v := range all {
		if wanted(k) {
			out[k] = v
		}
	}
	return out
}
