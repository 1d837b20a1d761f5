package hdfs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// site writes a Hadoop configuration and makes it the process's.
func site(t *testing.T, properties map[string]string) {
	t.Helper()
	dir := t.TempDir()
	var b strings.Builder
	b.WriteString("<configuration>")
	for k, v := range properties {
		b.WriteString("<property><name>" + k + "</name><value>" + v + "</value></property>")
	}
	b.WriteString("</configuration>")
	if err := os.WriteFile(filepath.Join(dir, "hdfs-site.xml"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HADOOP_CONF_DIR", dir)
	t.Setenv("HADOOP_HOME", "")
}

func TestNameServiceIsLookedUpInHadoopsConfiguration(t *testing.T) {
	site(t, map[string]string{
		"fs.defaultFS":                           "hdfs://prod",
		"dfs.ha.namenodes.prod":                  "nn1, nn2",
		"dfs.namenode.rpc-address.prod.nn1":      "b.example:9000",
		"dfs.namenode.rpc-address.prod.nn2":      "a.example",
		"dfs.ha.namenodes.broken":                "nn1",
		"dfs.client.use.datanode.hostname":       "true",
		"dfs.namenode.kerberos.principal.unused": "x",
	})
	for uri, want := range map[string][]string{
		"hdfs://prod/akupara":          {"a.example:8020", "b.example:9000"},
		"hdfs:///akupara":              {"a.example:8020", "b.example:9000"},
		"hdfs://other:1/akupara":       {"other:1"},
		"hdfs://z:1,y,z:1/akupara/":    {"y:8020", "z:1"},
		"hdfs://[::1]:8020/akupara/./": {"[::1]:8020"},
	} {
		f, err := New(uri, Options{User: "me"})
		if err != nil {
			t.Errorf("New(%s): %v", uri, err)
			continue
		}
		if !slices.Equal(f.cluster.addresses, want) || f.base != "/akupara" || !f.cluster.useHostname || f.cluster.ha() != (len(want) > 1) {
			t.Errorf("New(%s) = %+v, base %s; want NameNodes %v, base /akupara", uri, f.cluster, f.base, want)
		}
	}
	if _, err := New("hdfs://broken/akupara", Options{}); err == nil || !strings.Contains(err.Error(), "dfs.namenode.rpc-address.broken.nn1") {
		t.Errorf("a NameNode without an address: %v; want the key that is missing", err)
	}
}

func TestKerberosIsRefusedInWords(t *testing.T) {
	site(t, map[string]string{"hadoop.security.authentication": "kerberos"})
	if _, err := New("hdfs://nn:8020/x", Options{}); err == nil || !strings.Contains(err.Error(), "Kerberos") {
		t.Errorf("got %v; want an error that says Kerberos", err)
	}
}

func TestUserIsTheEnvironmentsElseTheSystems(t *testing.T) {
	site(t, nil)
	for _, want := range []string{"somebody", ""} {
		t.Setenv("HADOOP_USER_NAME", want)
		f, err := New("hdfs://nn:8020", Options{})
		if err != nil || want != "" && f.User() != want || f.User() == "" || f.base != "/" || f.abs("a/b") != "/a/b" || f.abs("") != "/" {
			t.Errorf("HADOOP_USER_NAME=%s: user %q at base %q, %v", want, f.User(), f.base, err)
		}
	}
}
