package open

import (
	"strings"
	"testing"

	"github.com/akupara/akupara/store/hdfs"
	"github.com/akupara/akupara/store/local"
)

func TestAddressesOfStores(t *testing.T) {
	t.Setenv("HADOOP_CONF_DIR", "")
	t.Setenv("HADOOP_HOME", "")
	for _, uri := range []string{"file:///srv/store", "/srv/store", "file://localhost/srv/store"} {
		s, err := Open(uri, Options{})
		if l, ok := s.(*local.FS); err != nil || !ok || l.Root() != "/srv/store" {
			t.Errorf("Open(%q) = %#v, %v; want the local store /srv/store", uri, s, err)
		}
	}
	for _, uri := range []string{"hdfs://127.0.0.1:8020/akupara", "hdfs://nn1:8020,nn2:8020/a", "hdfs://nn1"} {
		s, err := Open(uri, Options{})
		if _, ok := s.(*hdfs.FS); err != nil || !ok {
			t.Errorf("Open(%q) = %#v, %v; want a store on HDFS", uri, s, err)
		}
	}
	for uri, want := range map[string]string{
		"":                       "want file:///",
		"data":                   "want file:///",
		"file://data":            "want file:///",
		"file:data":              "want file:///",
		"s3://bucket/x":          "want file:///",
		"hdfs:///akupara":        "no NameNode",
		"hdfs://me@nn:8020/":     "HADOOP_USER_NAME",
		"hdfs://nn:8020/../x":    "..",
		"hdfs://nn:8020/x?y=1":   "not allowed",
		"hdfs://nn:/x":           "want host:port",
		"hdfs://nn:8020,,b:1/x":  "want host:port",
		"file:///srv/store?x=1":  "want file:///",
		"hdfs:/nn:8020/akupara":  "want hdfs://",
		"file:///srv/\x00/store": "invalid",
	} {
		if s, err := Open(uri, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q) = %#v, %v; want an error with %q", uri, s, err, want)
		}
	}
}
