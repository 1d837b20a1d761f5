package pods

import (
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// apiServer answers as the API server of a cluster does, over TLS and to a
// token alone.
type apiServer struct {
	*httptest.Server
	mu    sync.Mutex
	pods  []any
	down  bool
	asked []string // URIs
}

func newAPI(t *testing.T, r *rig) *apiServer {
	t.Helper()
	s := &apiServer{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, req.RequestURI)
		switch {
		case s.down:
			http.Error(w, "etcd is away", http.StatusServiceUnavailable)
		case req.Header.Get("Authorization") != "Bearer secret":
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
		default:
			_ = json.NewEncoder(w).Encode(map[string]any{"kind": "PodList", "apiVersion": "v1", "items": s.pods})
		}
	}))
	t.Cleanup(s.Close)
	dir := t.TempDir()
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	r.ok(os.WriteFile(filepath.Join(dir, "ca"), cert, 0o600))
	r.ok(os.WriteFile(filepath.Join(dir, "token"), []byte("secret\n"), 0o600))
	m := &r.cfg.Metadata
	m.From, m.URL, m.Node = "api", s.URL, "node-1"
	m.CAFile, m.TokenFile = filepath.Join(dir, "ca"), filepath.Join(dir, "token")
	m.Annotations = []config.Glob{"note"}
	return s
}

func (s *apiServer) set(down bool, pods ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
	s.pods = append(s.pods, pods...)
}

func apiPod(uid string, labels map[string]string) any {
	return map[string]any{
		"metadata": map[string]any{
			"uid": uid, "labels": labels, "annotations": map[string]string{"note": "x", "other": "y"},
			"ownerReferences": []any{map[string]any{"kind": "DaemonSet", "name": "logs", "controller": true}},
		},
		"spec": map[string]any{"nodeName": "node-1"},
	}
}

func (r *rig) tags(c *ctr) map[string]string {
	for _, k := range r.rec.Chunks() {
		if k.Source == c.path && k.Kind == chunk.Data {
			return k.Tags
		}
	}
	return nil
}

func TestMetadataBecomesTags(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	api := newAPI(t, r)
	r.cfg.Types = []TypeRule{{Match: TypeMatch{Labels: map[string]config.Glob{"app": "web*"}}, Type: "access"}}
	api.set(false, apiPod("u1", map[string]string{"app": "web", "app.kubernetes.io/name": "n", "noise": "z"}))
	c := r.run("shop_web_u1", "nginx", 0)
	c.write(3)
	r.start()
	r.arrived()
	got := r.tags(c)
	for k, want := range map[string]string{
		"label.app": "web", "label.app.kubernetes.io/name": "n", "label.noise": "", "annotation.note": "x", "annotation.other": "",
		"owner": "DaemonSet/logs", "node": "node-1", "metadata": "", "pod": "web",
	} {
		if got[k] != want {
			t.Errorf("tag %s: got %q, want %q", k, got[k], want)
		}
	}
	if got := r.rec.Chunks()[0].Type; got != "access" {
		t.Errorf("got type %q, want access, by the label", got)
	}
	if uri := api.asked[0]; uri != "/api/v1/pods?resourceVersion=0&fieldSelector=spec.nodeName%3Dnode-1" {
		t.Errorf("asked for %s", uri)
	}
}

func TestNewPodsChunkWaitsForItsMetadata(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	api := newAPI(t, r)
	r.start()
	r.until("nothing was asked", func() bool { api.mu.Lock(); defer api.mu.Unlock(); return len(api.asked) > 0 })
	api.set(false, apiPod("u1", map[string]string{"app": "web"}))
	c := r.run("shop_web_u1", "nginx", 0)
	c.write(3)
	r.arrived()
	if got := r.tags(c)["label.app"]; got != "web" {
		t.Errorf("got tags %v", r.tags(c))
	}
}

func TestCollectionGoesOnWithoutMetadata(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	api := newAPI(t, r)
	api.set(true)
	c := r.run("shop_web_u1", "nginx", 0)
	c.write(3)
	r.start()
	r.arrived()
	if got := r.tags(c); got["metadata"] != "missing" || got["namespace"] != "shop" {
		t.Errorf("got tags %v, want what the path tells, and metadata=missing", got)
	}
	if got := r.a.Status().LastErr; !strings.Contains(got, "503") || !strings.Contains(got, "metadata of pods is not known") {
		t.Errorf("the status says %q", got)
	}
	api.set(false, apiPod("u1", map[string]string{"app": "web"}))
	r.until("it is still said", func() bool { return r.a.Status().LastErr == "" })
	c.write(1)
	r.arrived()
	chunks := r.rec.Chunks()
	if got := chunks[len(chunks)-1].Tags; got["label.app"] != "web" || got["metadata"] != "" {
		t.Errorf("once it is known: got tags %v", got)
	}
}

func TestLabelsChooseContainers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	api := newAPI(t, r)
	r.cfg.Labels = map[string]config.Glob{"tier": "front*"}
	r.cfg.ExcludeLabels = map[string]config.Glob{"logs": "off"}
	r.cfg.Metadata.Missing = "hold"
	api.set(false, apiPod("u1", map[string]string{"tier": "frontend"}), apiPod("u2", map[string]string{"tier": "back"}),
		apiPod("u3", map[string]string{"tier": "frontend", "logs": "off"}))
	yes := r.run("shop_a_u1", "c", 0)
	no := []*ctr{r.run("shop_b_u2", "c", 0), r.run("shop_c_u3", "c", 0)}
	held := r.run("shop_d_u4", "c", 0)
	for _, c := range r.all {
		c.write(2)
	}
	r.start()
	r.arrived(yes)
	r.until("they are not told as skipped", func() bool { return len(r.a.Status().Skipped) == 2 })
	for _, c := range append(no, held) {
		if r.got(c.path) != "" {
			t.Errorf("%s was collected", c.path)
		}
	}
	api.set(false, apiPod("u4", map[string]string{"tier": "front"}))
	r.run("shop_e_u5", "c", 0).write(1) // has the server asked again
	r.arrived(held)
	for _, c := range no {
		r.remove(c.pod)
	}
	r.until("they are still shown", func() bool { return len(r.a.Status().Skipped) == 0 })
}

func TestMetadataConfigIsChecked(t *testing.T) {
	env := map[string]string{}
	get := func(k string) string { return env[k] }
	log := slog.New(slog.DiscardHandler)
	for _, m := range []Metadata{
		{From: "kubelet"}, {From: "api"}, {From: "api", URL: "https://x"}, {From: "kubelet", URL: "ftp://x"},
		{From: "kubelet", URL: "http://10.0.0.1:10255", TokenFile: "/token"}, {From: "kubelet", URL: "https://u:p@x"},
	} {
		if _, err := m.source(get, log); err == nil {
			t.Errorf("%+v was taken", m)
		}
	}
	env["NODE_NAME"], env["KUBERNETES_SERVICE_HOST"] = "n1", "10.0.0.1"
	for _, m := range []Metadata{{From: "kubelet"}, {From: "api"}, {From: "kubelet", URL: "http://127.0.0.1:10255", TokenFile: "/token"}} {
		if _, err := m.source(get, log); err != nil {
			t.Errorf("%+v: %v", m, err)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for text, want := range map[string]string{
		"{}": "", "{root: /x, metadata: {from: kubelet}, labels: {a: b}}": "",
		"{root: x}": "no absolute path", "{labels: {a: b}}": "set metadata.from",
		"{types: [{match: {labels: {a: b}}, type: x}]}": "set metadata.from", "{types: [{match: {}, type: X}]}": "must match",
		"{metadata: {from: api, url: 'ftp://x'}}": "no address", "{start: middle}": "one of beginning, end",
		"{namespaces: ['[']}": "not closed", "{nonsense: 1}": "nonsense",
	} {
		n, problems := config.Parse("test", []byte(text))
		c := Kind().NewConfig()
		err := append(problems, config.Decode(n, c)...).Err()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	if _, err := Kind().New(42); err == nil {
		t.Error("an adaptor was made from a config of another type")
	}
}

// TestExampleOfTheReadmeRuns runs the example on logs and a server of the
// test's own.
func TestExampleOfTheReadmeRuns(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	api := newAPI(t, r)
	api.set(false, apiPod("u1", map[string]string{"app": "web"}))
	cfg := adaptortest.Example(t, Kind(), "/var/log/pods", r.root, "https://10.0.0.7:10250", api.URL,
		"/var/run/secrets/kubernetes.io/serviceaccount/token", r.cfg.Metadata.TokenFile,
		"/etc/kubernetes/pki/ca.crt", r.cfg.Metadata.CAFile)
	r.cfg = *cfg.(*Config)
	c := r.run("shop_web_u1", "nginx", 0)
	c.write(3)
	c.rotate()
	c.write(1)
	r.run("kube-system_x_u2", "c", 0).write(1)
	r.start()
	r.arrived(c)
	if got := r.tags(c); got["label.app"] != "web" {
		t.Errorf("got tags %v", got)
	}
	if got := r.rec.Chunks()[0].Type; got != "access" {
		t.Errorf("got type %q, want access", got)
	}
}
