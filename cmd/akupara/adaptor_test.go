package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/akupara/akupara/agentd/client"
)

// node is a collector and an agent that run, each in a process of its own.
type node struct {
	t      *testing.T
	dir    string
	config string   // its file
	listen string   // of the agent, as --agent takes it
	flags  []string // that go with it
	gone   <-chan struct{}
}

const nodeConfig = `store: file://DIR/store
data_dir: DIR/data
agent:
  collectors: [http://127.0.0.1:PORT]
  listen: LISTEN
  receipts_every: 50ms
  allow_paths: [DIR/logs]
  adaptors:
    - {name: app, kind: tail, type: app, paths: [DIR/logs/app/*.log]}
collector:
  listen: 127.0.0.1:PORT
  seal: {age: 200ms, idle: 200ms}
`

const nodeLines = 100

// Where a node's agent listens.
const (
	onSocket = "on a socket"
	onPort   = "on a port"
	onTLS    = "on a port with TLS and a token"
)

// startNode starts both with a log of some lines.
func startNode(t *testing.T, where string) *node {
	t.Helper()
	n := &node{t: t, dir: t.TempDir()}
	port := freePorts(t)
	n.config = filepath.Join(n.dir, "node.yaml")
	listen := fmt.Sprintf("127.0.0.1:%d", port+1)
	n.listen = "http://" + listen
	switch where {
	case onSocket:
		listen = "unix:" + filepath.Join(n.dir, "agent.sock")
		n.listen = listen
	case onTLS:
		n.listen = "https://" + listen
		n.flags = secure(t, n.dir)
		listen += "\n  tls: {cert: " + filepath.Join(n.dir, "cert.pem") + ", key: " + filepath.Join(n.dir, "key.pem") + "}" +
			"\n  token_file: " + filepath.Join(n.dir, "token")
	}
	text := strings.NewReplacer("DIR", n.dir, "PORT", fmt.Sprint(port), "LISTEN", listen).Replace(nodeConfig)
	writeFile(t, n.config, text)
	writeFile(t, n.log("app/a.log"), strings.Repeat("a line\n", nodeLines))
	n.start("collector")
	n.gone = n.start("agent")
	eventually(t, n.gone, time.Minute, "the agent answers", func() bool {
		_, _, code := n.call("adaptor", "ls")
		return code == 0
	})
	return n
}

func (n *node) log(name string) string { return filepath.Join(n.dir, "logs", name) }

// start runs a daemon until the test ends.
func (n *node) start(daemon string) (gone <-chan struct{}) {
	n.t.Helper()
	cmd := exec.Command(binary, daemon, "--config", n.config)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // ProcessState tells how it ended
		close(done)
	}()
	n.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(time.Minute):
			n.t.Errorf("the %s did not end within 30 s of SIGTERM", daemon)
			_ = cmd.Process.Kill()
			<-done
		}
		if n.t.Failed() {
			n.t.Logf("the %s said\n%s", daemon, said.String())
		}
	})
	return done
}

// call asks the node's agent, which the config names.
func (n *node) call(args ...string) (stdout, stderr string, code int) {
	n.t.Helper()
	return call(n.t, n.dir, append([]string{"--config", n.config}, args...)...)
}

// want calls, and wants an exit code and texts on standard output, or with
// another code than 0 on standard error.
func (n *node) want(code int, args []string, texts ...string) (stdout string) {
	n.t.Helper()
	stdout, stderr, got := n.call(args...)
	said, other := stdout, stderr
	if code != 0 {
		said, other = stderr, ""
	}
	if got != code || other != "" {
		n.t.Errorf("akupara %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	for _, text := range texts {
		if !strings.Contains(said, text) {
			n.t.Errorf("akupara %s: got\n%s\nwant %q in it", strings.Join(args, " "), said, text)
		}
	}
	return stdout
}

// answer calls with --json and reads the answer, all of whose keys must be
// known.
func answer[T any](n *node, args ...string) T {
	n.t.Helper()
	var v T
	stdout := n.want(0, append(args, "--json"))
	dec := json.NewDecoder(strings.NewReader(stdout))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		n.t.Fatalf("akupara %s --json: %v in\n%s", strings.Join(args, " "), err, stdout)
	}
	return v
}

// settled waits until all that an adaptor's sources hold is settled.
func (n *node) settled(name string, bytes int64) {
	n.t.Helper()
	eventually(n.t, n.gone, time.Minute, fmt.Sprintf("%d bytes of %s are settled", bytes, name), func() bool {
		a := answer[client.Adaptor](n, "adaptor", "show", name)
		var sum int64
		for _, p := range a.Position {
			sum += p.Settled
		}
		return sum == bytes && a.LagBytes == 0
	})
}

func TestAdaptorsAreControlledOnTheCommandLine(t *testing.T) {
	for _, where := range []string{onSocket, onPort, onTLS} {
		t.Run(where, func(t *testing.T) {
			n := startNode(t, where)
			n.settled("app", nodeLines*7)
			n.lists()
			if where == onTLS {
				n.asksForTheToken()
				return
			}
			n.adds()
			n.refuses()
			n.stopsAndStarts()
			n.rewinds()
			n.removes()
			if where == onSocket {
				n.switches()
				n.completes()
				n.fitsTheTerminal()
				n.asksBeforeARewind()
				n.reloads()
				n.drains()
			}
		})
	}
}

func (n *node) lists() {
	n.want(0, []string{"adaptor", "ls"}, "last error", "app   tail  app   running  0 B", "700 B")
	stdout, _, code := call(n.t, n.dir, append([]string{"adaptor", "ls", "--agent", n.listen}, n.flags...)...)
	if code != 0 || !strings.Contains(stdout, "app   tail  app   running") {
		n.t.Errorf("adaptor ls --agent %s: exit code %d, %s", n.listen, code, stdout)
	}
	if socket := "unix:" + filepath.Base(n.listen); strings.HasPrefix(n.listen, "unix:") {
		if stdout, _, code := call(n.t, n.dir, "adaptor", "ls", "--agent", socket); code != 0 || !strings.Contains(stdout, "app") {
			n.t.Errorf("adaptor ls --agent %s: exit code %d, %s", socket, code, stdout)
		}
	}
	if list := answer[[]client.Adaptor](n, "adaptor", "ls"); len(list) != 1 || list[0].Name != "app" || list[0].Origin != "config" {
		n.t.Errorf("adaptor ls --json: got %+v, want the adaptor of the config", list)
	}
	if list := answer[[]client.Adaptor](n, "adaptor", "ls", "--state", "failed"); len(list) != 0 {
		n.t.Errorf("adaptor ls --state failed --json: got %+v, want an empty list", list)
	}
	n.want(0, []string{"adaptor", "ls", "--kind", "tail"}, "app")
	n.want(0, []string{"adaptor", "ls", "--kind", "pods"}, "no such adaptors")
	n.want(2, []string{"adaptor", "ls", "--state", "runs"}, "allowed are running, waiting")
	n.want(0, []string{"adaptor", "show", "app"}, "state       running", "delivery    end_to_end", "last error  none", "kind: tail", n.log("app/a.log"))
	n.want(1, []string{"adaptor", "show", "ap"}, "the agent at "+n.listen+" refuses", "ap")
	n.want(2, []string{"adaptor", "show"}, "an adaptor's name is missing")
	n.want(0, []string{"streams"}, "adaptor  source", n.log("app/a.log"), "live")
	if s := answer[client.Streams](n, "streams", "--adaptor", "app"); s.Total != 1 || s.Streams[0].Settled != nodeLines*7 {
		n.t.Errorf("streams --json: got %+v, want one, settled to its end", s)
	}
	n.want(0, []string{"streams", "--adaptor", "none"}, "there are no streams")
	n.want(2, []string{"streams", "--limit", "0"}, "allowed are 1 to 100000")
}

func (n *node) asksForTheToken() {
	wrong := filepath.Join(n.dir, "wrong")
	writeFile(n.t, wrong, strings.Repeat("guess", 8)+"\n")
	for _, c := range []struct {
		flags []string
		want  string
	}{
		{nil, "--ca"}, {n.flags[:2], "--token-file"}, {[]string{n.flags[0], n.flags[1], "--token-file", wrong}, "not this server's"},
	} {
		_, stderr, code := call(n.t, n.dir, append([]string{"adaptor", "ls", "--agent", n.listen}, c.flags...)...)
		if code != 1 || !strings.Contains(stderr, c.want) {
			n.t.Errorf("adaptor ls with %q: exit code %d, %q, want 1 and %q", c.flags, code, stderr, c.want)
		}
	}
	// By its config, which names no address that the certificate is for.
	text, err := os.ReadFile(n.config)
	if err != nil {
		n.t.Fatal(err)
	}
	everywhere := filepath.Join(n.dir, "everywhere.yaml")
	address := strings.TrimPrefix(n.listen, "https://")
	writeFile(n.t, everywhere, strings.Replace(string(text), "listen: "+address, "listen: "+strings.Replace(address, "127.0.0.1", "0.0.0.0", 1), 1))
	if _, stderr, code := call(n.t, n.dir, "adaptor", "ls", "--config", everywhere); code != 0 {
		n.t.Errorf("adaptor ls by a config that listens everywhere: exit code %d, %q, want 0", code, stderr)
	}
	plain := "http" + strings.TrimPrefix(n.listen, "https")
	if _, stderr, code := call(n.t, n.dir, "adaptor", "ls", "--agent", plain); code != 1 || !strings.Contains(stderr, "https://") {
		n.t.Errorf("adaptor ls without TLS: exit code %d, %q, want 1 and that https is wanted", code, stderr)
	}
}

// secure writes a certificate, its key and a token into dir, and gives the
// flags that fit them.
func secure(t *testing.T, dir string) (flags []string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"agent.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	ca, token := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "token")
	writeFile(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	writeFile(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	writeFile(t, token, strings.Repeat("secret", 8)+"\n")
	return []string{"--ca", ca, "--token-file", token}
}

func (n *node) adds() {
	writeFile(n.t, n.log("more/b.log"), "one\ntwo\n")
	n.want(0, []string{"adaptor", "add", "--name", "more", "--type", "more", "--set", "max_record=64KiB", "--set", "tags={team: shop}", n.log("more/*.log")},
		"added more: tail, type more: ")
	n.settled("more", 8)
	a := answer[client.Adaptor](n, "adaptor", "show", "more")
	if !strings.Contains(string(a.Entry), `"team":"shop"`) || !strings.Contains(string(a.Entry), "64KiB") || a.Origin != "rest" {
		n.t.Errorf("adaptor show more --json: got %+v with %s, want what was set", a, a.Entry)
	}
	file := filepath.Join(n.dir, "two.yaml")
	writeFile(n.t, file, "# two\n- name: x1\n  kind: tail\n  type: x\n  paths: ["+n.log("x/*.log")+"]\n- {name: x2, kind: tail, type: x, paths: ["+n.log("y/*.log")+"]}\n")
	n.want(0, []string{"adaptor", "add", file}, "added x1: tail", "added x2: tail")
	n.want(1, []string{"adaptor", "add", file}, "x1")

	writeFile(n.t, n.log("java/b.log"), "2026-11-30 10:00:00,000 WARN [main] a.B: x\n\tat a.B\n2026-11-30 10:00:01,000 WARN [main] a.B: y\n")
	n.want(0, []string{"adaptor", "add", "--name", "guessed", n.log("java/*.log")}, "type log4j, which reads 2 of its first 2 records", "added guessed: tail, type log4j")
	if a := answer[client.Adaptor](n, "adaptor", "show", "guessed"); !strings.Contains(string(a.Entry), "record_start") {
		n.t.Errorf("adaptor show guessed: got %s, want a record_start in it", a.Entry)
	}
	n.want(0, []string{"adaptor", "remove", "guessed"})
	writeFile(n.t, n.log("bin/a.log"), "\x7fELF\x02\x01\x01\x00 and more\n")
	n.want(1, []string{"adaptor", "add", "--name", "binary", n.log("bin/*.log")}, n.log("bin/a.log")+" is no text: a program; --type takes it all the same")

	cmd := exec.Command(binary, "adaptor", "add", "-", "--config", n.config)
	cmd.Stdin = strings.NewReader(`{"name": "piped", "kind": "tail", "type": "x", "paths": ["` + n.log("z/*.log") + `"]}`)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "added piped: tail") {
		n.t.Errorf("adaptor add -: %v, %s", err, out)
	}
	n.want(0, []string{"adaptor", "update", "--name", "more", "--type", "more", "--set", "max_record=128KiB", n.log("more/*.log")}, "updated more: tail")
	if a := answer[client.Adaptor](n, "adaptor", "show", "more"); !strings.Contains(string(a.Entry), "128KiB") {
		n.t.Errorf("after the update the entry is %s, want 128KiB in it", a.Entry)
	}
	n.settled("more", 8)
}

func (n *node) refuses() {
	bad := filepath.Join(n.dir, "bad.yaml")
	for text, want := range map[string]string{
		"name: b\nkind: tail\ntype: b\npaths: [" + n.log("*") + "]\nmax_recrd: 1\n":                            bad + `:5:1: key "max_recrd" is not known (its value is "1"); did you mean "max_record"?`,
		"- name: b1\n  kind: tial\n  type: b\n":                                                                bad + `:2:9: kind: "tial" is no kind`,
		"\n- {name: b, kind: tail, type: b, paths: [" + n.log("*") + "], watch: often}\n":                      bad + ":2:",
		"- name: b\n  kind: tail\n  type: b\n  paths:\n    - " + n.log("*") + "\n  start: middle\n- name: c\n": bad + `:6:10: start: "middle"`,
		"name: [\n": bad + ":",
		"":          "holds no entry",
	} {
		writeFile(n.t, bad, text)
		stdout, stderr, code := n.call("adaptor", "add", bad)
		if code != 1 || stdout != "" || !strings.Contains(stderr, want) {
			n.t.Errorf("adaptor add of %q: exit code %d, %q and\n%s\nwant 1, nothing and %q", text, code, stdout, stderr, want)
		}
	}
	n.want(1, []string{"adaptor", "add", "/nope.yaml"}, "no such file")
	n.want(1, []string{"adaptor", "add", "--name", "etc", "--type", "x", "/etc/*.conf"}, "refuses", "allow_paths")
	n.want(1, []string{"adaptor", "add", "--name", "w", "--kind", "command", "--type", "x", "--", "df", "-Pk"}, "allow_commands")
	n.want(1, []string{"adaptor", "update", "--name", "app", "--type", "app", n.log("*.log")}, "config")
	n.want(1, []string{"adaptor", "rm", "app"}, "config")
	for args, want := range map[string]string{
		"adaptor add": "want one FILE, - or --name", "adaptor add a b": "want one FILE, - or --name",
		"adaptor add --type x /x": "--name is missing", "adaptor add --name x --set y /x": "want KEY=VALUE",
		"adaptor add --name x --kind metrics /x": "take no arguments", "adaptor list --agnt x": "unknown flag",
		"adaptor start": "name is missing", "adaptor sart x": "did you mean start", "adaptor ls --watch=1ms": "100ms",
		"adaptor rewind app --all --to x":    "want an offset",
		"adaptor rewind app --all --path /x": "none of the others can be", "adaptor ls --cert /x": "key",
	} {
		n.want(2, strings.Fields(args), want)
	}
	if _, stderr, code := call(n.t, n.dir, "adaptor", "ls", "--agent", "ftp://x"); code != 2 || !strings.Contains(stderr, "unix:/PATH") {
		n.t.Errorf("--agent ftp://x: exit code %d, %q, want 2 and what is allowed", code, stderr)
	}
	if _, stderr, code := call(n.t, n.dir, "adaptor", "ls", "--agent", "unix:/nope"); code != 1 || !strings.Contains(stderr, "is it running?") {
		n.t.Errorf("--agent unix:/nope: exit code %d, %q, want 1 and a question", code, stderr)
	}
}

func (n *node) stopsAndStarts() {
	n.want(0, []string{"adaptor", "stop", "app", "more"}, "stopped app: tail, type app: stopped\nstopped more: ")
	n.want(0, []string{"adaptor", "ls", "--state", "stopped"}, "app", "more")
	if a := answer[client.Adaptor](n, "adaptor", "start", "app"); a.State == "stopped" {
		n.t.Errorf("adaptor start --json: got %+v, want one that is not stopped", a)
	}
	stdout, stderr, code := n.call("adaptor", "start", "nope", "more")
	if code != 1 || !strings.HasPrefix(stdout, "started more: ") || !strings.Contains(stderr, "nope") {
		n.t.Errorf("start of one that is not there and one that is: exit code %d, %q, %q, want 1 and the other started", code, stdout, stderr)
	}
	appendFile(n.t, n.log("app/a.log"), "another line\n")
	n.settled("app", nodeLines*7+13)
}

func (n *node) rewinds() {
	n.want(0, []string{"adaptor", "rewind", "app", "--to", "7"}, "back to", n.log("app/a.log"), "  7  ")
	r := answer[client.Rewound](n, "adaptor", "rewind", "more", "--path", n.log("more/b.log"), "--yes")
	if len(r.Rewound) != 1 || r.Rewound[0].To != 0 {
		n.t.Errorf("adaptor rewind --json: got %+v, want the one stream set back to 0", r)
	}
	n.settled("app", nodeLines*7+13)
	n.settled("more", 8)
	n.want(1, []string{"adaptor", "rewind", "nope", "--all"}, "refuses")
}

func (n *node) removes() {
	n.want(0, []string{"adaptor", "rm", "more", "x1", "x2", "piped"}, "removed more\nremoved x1\nremoved x2\nremoved piped\n")
	if list := answer[[]client.Adaptor](n, "adaptor", "ls"); len(list) != 1 {
		n.t.Errorf("after rm: got %+v, want the config's one", list)
	}
}

func (n *node) switches() {
	n.want(0, []string{"switch", "ls"}, "there are no switches")
	n.want(0, []string{"switch", "set", "quiet", "adaptor=app", "level=debug", "feature.prefix=DEBUG: x"}, "quiet", "adaptor=app", "feature.prefix=DEBUG: x", "level=debug", "rest")
	n.want(0, []string{"switch", "set", "labels", "label.app.kubernetes.io/name=web", "namespace=[dev, test]"}, "label.app.kubernetes.io/name=web", "namespace=[dev, test]")
	if list := answer[[]client.Switch](n, "switch", "ls"); len(list) != 2 || list[0].Name != "labels" {
		n.t.Errorf("switch ls --json: got %+v, want both, by name", list)
	}
	n.want(1, []string{"switch", "set", "bad", "nampespace=dev"}, `key "nampespace" is not known`)
	n.want(2, []string{"switch", "set", "bad"}, "a condition is missing")
	n.want(0, []string{"switch", "rm", "labels"}, "removed labels")
	n.want(1, []string{"switch", "rm", "labels"}, "refuses")
	appendFile(n.t, n.log("app/a.log"), "DEBUG: x is left out\nINFO: x is taken\n")
	eventually(n.t, n.gone, time.Minute, "the switch left a record out", func() bool {
		list := answer[[]client.Switch](n, "switch", "ls")
		return len(list) == 1 && list[0].DroppedRecords == 1
	})
	n.want(0, []string{"switch", "rm", "quiet"}, "removed quiet")
}

func (n *node) completes() {
	for args, want := range map[string][]string{
		"adaptor stop ": {"app"}, "adaptor show ": {"app"}, "adaptor rm ": nil, "adaptor stop app ": nil,
		"adaptor ls --state ": client.States(), "adaptor ls --kind ": kindNames(), "kinds ": kindNames(), "streams --adaptor ": {"app"},
		"adaptor add --kind tail --set ": {"max_record=", "paths=", "delivery="},
	} {
		words := strings.Split(args, " ")
		stdout, _, code := call(n.t, n.dir, append([]string{"__complete", words[0], "--config", n.config}, words[1:]...)...)
		var got []string
		for line := range strings.Lines(stdout) {
			if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); !strings.HasPrefix(word, ":") {
				got = append(got, word)
			}
		}
		for _, w := range want {
			if code != 0 || !slices.Contains(got, w) {
				n.t.Errorf("completing %q: exit code %d, got %q, want %q among them", args, code, got, want)
			}
		}
		if want == nil && len(got) > 0 {
			n.t.Errorf("completing %q: got %q, want nothing", args, got)
		}
	}
}

func (n *node) reloads() {
	n.want(0, []string{"reload"}, "generation 1, hash ", "nothing changed")
	good := readFile(n.t, n.config)
	writeFile(n.t, n.config, good+"web: {}\n")
	bad := strings.Replace(good, "kind: tail", "kind: tial", 1)
	writeFile(n.t, n.config, bad)
	_, stderr, code := n.call("reload")
	if want := n.config + ":9:"; code != 1 || !strings.HasPrefix(stderr, want) || !strings.Contains(stderr, `did you mean "tail"?`) {
		n.t.Errorf("reload of a bad config: exit code %d and\n%s\nwant 1 and a problem at %s", code, stderr, want)
	}
	n.want(0, []string{"adaptor", "ls"}, "app   tail")
	writeFile(n.t, n.config, strings.Replace(good, "  adaptors:\n", "  adaptors:\n    - {name: fresh, kind: tail, type: x, paths: ["+n.log("fresh/*")+"]}\n", 1))
	n.want(0, []string{"reload"}, "generation ", "hash ")
	eventually(n.t, n.gone, time.Minute, "the adaptor that is new in the config runs", func() bool {
		list := answer[[]client.Adaptor](n, "adaptor", "ls")
		return len(list) == 2 && list[1].Name == "fresh"
	})
}

func (n *node) drains() {
	n.want(0, []string{"drain", "--status"}, "reading goes on")
	n.want(0, []string{"drain", "--timeout", "20s"}, "reading is held; all that was read is settled")
	if d := answer[client.Drain](n, "drain", "--status"); !d.Draining || !d.Settled {
		n.t.Errorf("drain --status --json: got %+v, want that reading is held and all settled", d)
	}
	n.want(0, []string{"drain", "--resume"}, "reading goes on")
	n.want(2, []string{"drain", "--timeout", "11m"}, "allowed are 0s to 10m")
}
