// Package open turns the address of a store into the store.
package open

import (
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/hdfs"
	"github.com/akupara/akupara/store/local"
)

// Options are for both kinds of store; the zero value is right for daemons.
type Options struct {
	HDFS hdfs.Options
}

// Open returns the store at uri, which is one of
//
//	file:///absolute/path
//	/absolute/path
//	hdfs://host:port[,host:port]/base
//	hdfs://name/base          a name of HADOOP_CONF_DIR's hdfs-site.xml
//
// It checks the address and connects to nothing: a store that is away is an
// error of the first call. Closing an *hdfs.FS is possible, not necessary.
func Open(uri string, opts Options) (store.FS, error) {
	if filepath.IsAbs(uri) {
		return local.New(uri)
	}
	u, err := url.Parse(uri)
	if err != nil {
		// A list of NameNodes is no host to url.Parse; hdfs.New parses its own.
		if len(uri) > 7 && uri[:7] == "hdfs://" {
			return hdfs.New(uri, opts.HDFS)
		}
		return nil, fmt.Errorf("store %q: %w", uri, err)
	}
	switch u.Scheme {
	case "file":
		if u.Host != "" && u.Host != "localhost" || u.RawQuery != "" || u.Fragment != "" || !filepath.IsAbs(u.Path) {
			return nil, fmt.Errorf("store %q: want file:///absolute/path", uri)
		}
		return local.New(u.Path)
	case "hdfs":
		return hdfs.New(uri, opts.HDFS)
	default:
		return nil, fmt.Errorf("store %q: want file:///absolute/path or hdfs://host:port/base", uri)
	}
}
