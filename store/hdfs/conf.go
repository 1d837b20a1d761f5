package hdfs

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/colinmarc/hdfs/v2"
	"github.com/colinmarc/hdfs/v2/hadoopconf"

	"github.com/akupara/akupara/store"
)

const defaultPort = "8020"

// cluster is what an address and Hadoop's configuration say of a cluster.
type cluster struct {
	addresses   []string // of the NameNodes, host:port
	useHostname bool     // reach DataNodes by name
}

// ha reports whether another NameNode may take over, so that an answer can be
// one of a NameNode that is active no more.
func (c cluster) ha() bool { return len(c.addresses) > 1 }

// parseURI reads hdfs://AUTHORITY/base. The client itself knows neither the
// scheme nor names of name services.
func parseURI(uri string) (cluster, string, error) {
	rest, ok := strings.CutPrefix(uri, "hdfs://")
	if !ok {
		return cluster{}, "", fmt.Errorf("store %q: want hdfs://host:port/base", uri)
	}
	authority, base, _ := strings.Cut(rest, "/")
	if strings.ContainsAny(rest, "?#@") {
		return cluster{}, "", fmt.Errorf("store %q: a user, a query or a fragment is not allowed; HADOOP_USER_NAME names the user", uri)
	}
	base, err := store.Clean(strings.TrimLeft(base, "/"))
	if err != nil {
		return cluster{}, "", fmt.Errorf("store %q: %w", uri, err)
	}
	conf, err := hadoopconf.LoadFromEnvironment()
	if err != nil {
		return cluster{}, "", fmt.Errorf("store %q: read Hadoop's configuration (HADOOP_CONF_DIR): %w", uri, err)
	}
	c, err := resolve(authority, conf)
	if err != nil {
		return cluster{}, "", fmt.Errorf("store %q: %w", uri, err)
	}
	return c, "/" + base, nil
}

func resolve(authority string, conf hadoopconf.HadoopConf) (cluster, error) {
	fromConf := hdfs.ClientOptionsFromConf(conf)
	c := cluster{useHostname: fromConf.UseDatanodeHostname}
	if fromConf.KerberosClient != nil {
		return c, fmt.Errorf("the configuration of Hadoop asks for Kerberos, which is not supported yet")
	}
	nodes := conf["dfs.ha.namenodes."+authority]
	switch {
	case authority == "":
		c.addresses = fromConf.Addresses
		if len(c.addresses) == 0 {
			return c, fmt.Errorf("no NameNode: name one as hdfs://host:port/, or set HADOOP_CONF_DIR")
		}
	case nodes != "":
		for _, node := range strings.Split(nodes, ",") {
			key := "dfs.namenode.rpc-address." + authority + "." + strings.TrimSpace(node)
			if conf[key] == "" {
				return c, fmt.Errorf("%s is not set in Hadoop's configuration", key)
			}
			c.addresses = append(c.addresses, conf[key])
		}
	default:
		c.addresses = strings.Split(authority, ",")
	}
	for i, a := range c.addresses {
		a, err := withPort(strings.TrimSpace(a))
		if err != nil {
			return c, err
		}
		c.addresses[i] = a
	}
	slices.Sort(c.addresses)
	c.addresses = slices.Compact(c.addresses)
	return c, nil
}

func withPort(a string) (string, error) {
	if host, port, err := net.SplitHostPort(a); err == nil && host != "" && port != "" {
		return a, nil
	}
	full := net.JoinHostPort(strings.Trim(a, "[]"), defaultPort)
	if host, _, err := net.SplitHostPort(full); err != nil || host == "" || strings.HasSuffix(a, ":") {
		return "", fmt.Errorf("NameNode %q: want host:port", a)
	}
	return full, nil
}
