package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// DataNodes is how many a cluster has; they are numbered from 1.
const DataNodes = 3

// Cluster is a real HDFS on loopback that belongs to one test, which may kill
// and stop its daemons. It ends with the test, and also when the test's process
// is killed. Its methods fail the test when they fail.
type Cluster struct {
	t     testing.TB
	dir   string
	ports int // the base; see deploy/hadoop/hdfs.sh
}

// StartCluster starts a cluster of the test's own, which takes 5 to 15 s and
// 750 MB. Without Java or Maven the test is skipped, or fails where CI is set.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	// Not t.TempDir: daemons write until they are stopped.
	dir, err := os.MkdirTemp("", "akupara-hdfs-")
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{t: t, dir: dir, ports: freePorts(t)}
	t.Cleanup(func() {
		if out, err := c.script(context.Background(), "stop"); err != nil {
			t.Errorf("stop HDFS: %v\n%s", err, out)
		}
		if t.Failed() {
			logNameNode(t, dir)
		}
		os.RemoveAll(dir)
	})
	if out, err := c.script(t.Context(), "start"); err != nil {
		missing(t, "start HDFS", out, err)
	}
	return c
}

// SharedCluster returns a directory of the test's own, as hdfs://host:port/path,
// on the cluster that `make hdfs` starts, and starts that if needed. The
// directory is removed with the test. Without Java or Maven the test is
// skipped, or fails where CI is set.
func SharedCluster(t testing.TB) string {
	t.Helper()
	c := &Cluster{t: t}
	if ready(t.Context(), c.http()) != nil {
		if out, err := c.script(t.Context(), "start"); err != nil {
			missing(t, "start HDFS", out, err)
		}
	}
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, t.Name())
	dir := fmt.Sprintf("/akupara-test/%.60s-%d-%x", name, os.Getpid(), rand.Uint64())
	t.Cleanup(func() { c.webHDFS(http.MethodDelete, dir, "op=DELETE&recursive=true") })
	return c.URI() + dir
}

// URI is the address of the file system's root, hdfs://127.0.0.1:port.
func (c *Cluster) URI() string { return "hdfs://" + c.NameNode() }

// NameNode is the host:port that clients dial.
func (c *Cluster) NameNode() string {
	if c.ports == 0 {
		return "127.0.0.1:8020"
	}
	return "127.0.0.1:" + strconv.Itoa(c.ports)
}

// WebHDFS is the address of its REST API, without a slash at the end.
func (c *Cluster) WebHDFS() string { return c.http() + "/webhdfs/v1" }

func (c *Cluster) http() string {
	if c.ports == 0 {
		return "http://127.0.0.1:9870"
	}
	return "http://127.0.0.1:" + strconv.Itoa(c.ports+1)
}

// KillDataNode ends DataNode n by SIGKILL and returns when it is gone. The
// NameNode takes 14 s to notice.
func (c *Cluster) KillDataNode(n int) { c.must("kill-datanode", strconv.Itoa(n)) }

// StartDataNode starts DataNode n again; see AwaitReady.
func (c *Cluster) StartDataNode(n int) { c.must("start-datanode", strconv.Itoa(n)) }

// StopDataNode stops DataNode n by SIGSTOP: it keeps its connections, silently.
func (c *Cluster) StopDataNode(n int) { c.must("pause-datanode", strconv.Itoa(n)) }

// ContinueDataNode ends StopDataNode.
func (c *Cluster) ContinueDataNode(n int) { c.must("resume-datanode", strconv.Itoa(n)) }

// KillNameNode ends the NameNode by SIGKILL.
func (c *Cluster) KillNameNode() { c.must("kill-namenode") }

// StartNameNode starts it again and waits until it is out of safe mode.
func (c *Cluster) StartNameNode() { c.must("start-namenode") }

// RestartNameNode is both, and waits for a DataNode as well.
func (c *Cluster) RestartNameNode() { c.must("restart-namenode") }

// StopNameNode stops the NameNode by SIGSTOP.
func (c *Cluster) StopNameNode() { c.must("pause-namenode") }

// ContinueNameNode ends StopNameNode.
func (c *Cluster) ContinueNameNode() { c.must("resume-namenode") }

// AwaitReady waits until all daemons serve, at most a minute.
func (c *Cluster) AwaitReady() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		err := ready(ctx, c.http())
		// A node that was killed and started counts as live before it is.
		for n := 1; n <= DataNodes && err == nil; n++ {
			err = jmx(ctx, c.dataNodeHTTP(n), "DataNode,name=DataNodeInfo", `\"ActorState\":\"RUNNING\"`)
		}
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("HDFS is not ready after a minute: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// AwaitReplicas waits until the shared cluster's NameNode knows of a replica of
// each block of a file on each DataNode, at most a minute: DataNodes report new
// replicas some time after a file was closed.
func AwaitReplicas(t testing.TB, file string) {
	t.Helper()
	c := &Cluster{t: t}
	p := strings.TrimPrefix(file, c.URI())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := c.replicated(ctx, p)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s is not replicated after a minute: %v", file, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (c *Cluster) replicated(ctx context.Context, path string) error {
	u := c.WebHDFS() + (&url.URL{Path: path}).EscapedPath() + "?op=GETFILEBLOCKLOCATIONS&user.name=akupara"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var found struct {
		BlockLocations struct {
			BlockLocation []struct {
				Names []string `json:"names"`
			}
		}
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&found); err != nil {
		return fmt.Errorf("%s: %w", resp.Status, err)
	}
	blocks := found.BlockLocations.BlockLocation
	for i, b := range blocks {
		if len(b.Names) < DataNodes {
			return fmt.Errorf("block %d has %d replicas", i, len(b.Names))
		}
	}
	if len(blocks) == 0 {
		return errors.New("it has no blocks")
	}
	return nil
}

// SetSpaceQuota limits the bytes below dir, an absolute path, all replicas
// counted.
func (c *Cluster) SetSpaceQuota(dir string, bytes int64) {
	c.t.Helper()
	c.webHDFS(http.MethodPut, dir, "op=MKDIRS")
	c.webHDFS(http.MethodPut, dir, fmt.Sprintf("op=SETQUOTA&storagespacequota=%d&namespacequota=1000000", bytes))
}

func (c *Cluster) dataNodeHTTP(n int) string {
	base := c.ports
	if base == 0 {
		base = 9800
	}
	return "http://127.0.0.1:" + strconv.Itoa(base+10*n+1)
}

func (c *Cluster) webHDFS(method, path, query string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	u := c.WebHDFS() + (&url.URL{Path: path}).EscapedPath() + "?" + query + "&user.name=akupara"
	req, err := http.NewRequestWithContext(ctx, method, u, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Errorf("WebHDFS: %v", err)
		return
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(io.LimitReader(resp.Body, 1000)); resp.StatusCode != http.StatusOK {
		c.t.Errorf("WebHDFS: %s %s: %s %s", method, u, resp.Status, body)
	}
}

func (c *Cluster) must(args ...string) {
	c.t.Helper()
	if out, err := c.script(context.Background(), args...); err != nil {
		c.t.Fatalf("hdfs.sh %v: %v\n%s", args, err, out)
	}
}

func (c *Cluster) script(ctx context.Context, args ...string) ([]byte, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(root, "deploy/hadoop/hdfs.sh"), args...)
	cmd.Env = os.Environ()
	if c.ports != 0 {
		cmd.Env = append(cmd.Env, "AKUPARA_HDFS_STATE="+c.dir, "AKUPARA_HDFS_PORT_BASE="+strconv.Itoa(c.ports),
			"AKUPARA_HDFS_OWNER="+strconv.Itoa(os.Getpid()))
	}
	cmd.WaitDelay = 10 * time.Second
	return cmd.CombinedOutput()
}

func missing(t testing.TB, what string, out []byte, err error) {
	t.Helper()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 && os.Getenv("CI") == "" {
		t.Skipf("SKIPPED, NOT TESTED ON HDFS: %s", out)
	}
	t.Fatalf("%s: %v\n%s", what, err, out)
}

// ready asks the NameNode whether all DataNodes are live and none is stale.
func ready(ctx context.Context, address string) error {
	return jmx(ctx, address, "NameNode,name=FSNamesystemState", `"FSState" : "Operational"`,
		fmt.Sprintf(`"NumLiveDataNodes" : %d`, DataNodes), `"NumStaleDataNodes" : 0`)
}

// jmx checks that a daemon's bean has all of want in it.
func jmx(ctx context.Context, address, bean string, want ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/jmx?qry=Hadoop:service="+bean, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	for _, w := range want {
		if !strings.Contains(string(body), w) {
			return fmt.Errorf("%s at %s does not say %s", bean, address, w)
		}
	}
	return nil
}

// freePorts finds a base all of whose ports are free, below the range that
// systems give to outgoing connections.
func freePorts(t testing.TB) int {
	t.Helper()
	for range 200 {
		base := 12000 + 40*rand.IntN(400)
		free := true
		for _, off := range []int{0, 1, 10, 11, 12, 20, 21, 22, 30, 31, 32} {
			l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(base+off))
			if err != nil {
				free = false
				break
			}
			l.Close()
		}
		if free {
			return base
		}
	}
	t.Fatal("no free ports for HDFS")
	return 0
}

// moduleRoot is the folder of go.mod above the test's.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

func logNameNode(t testing.TB, dir string) {
	log, err := os.ReadFile(filepath.Join(dir, "logs", "namenode.log"))
	if err != nil {
		return
	}
	t.Logf("the NameNode's last words:\n%s", log[max(0, len(log)-3000):])
}
