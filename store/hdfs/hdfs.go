// Package hdfs keeps a store on HDFS, through github.com/colinmarc/hdfs. That
// client is fast and thin: it can hang for ever, loses data silently when a
// writer is used past an error, and knows nothing of lost replies. So nothing
// here is shared and nothing is used past doubt:
//
//   - Each open file, reader and call has a session of its own: a client and
//     its connections. Every read and write of a connection has a deadline, each
//     call has one as well, and at either's end the session is killed, which
//     closes its connections and so ends whatever hangs on them.
//   - After an error that is not a plain answer of the NameNode the session is
//     dropped, the next one starts with the next address, and what "does not
//     exist" is believed again only after a mutation has gone through the same
//     connection: only an active NameNode can do one.
//   - A file whose Create, Write or Close once failed is abandoned. Close gives
//     nil only if nothing ever failed and the NameNode tells the same length.
//   - A rename whose reply was lost is settled by the file's inode number.
package hdfs

import (
	"fmt"
	"os"
	"os/user"
	"sync"
	"sync/atomic"
	"time"

	"github.com/colinmarc/hdfs/v2"

	"github.com/akupara/akupara/store"
)

// Options of a store on HDFS; the zero value is right for daemons.
type Options struct {
	// User acts on HDFS; default HADOOP_USER_NAME, else the system's user.
	User string
	// Timeout bounds each read from and write to a connection, and connecting;
	// default 10s. A call as a whole takes at most six times that.
	Timeout time.Duration
	// BlockSize of new files in bytes; default the cluster's.
	BlockSize int64
	// Replication of new files; default the cluster's.
	Replication int
	// Dial connects to NameNodes and DataNodes; default (*net.Dialer).DialContext.
	Dial DialFunc
}

const (
	defaultTimeout = 10 * time.Second
	// callTimeouts is how many Timeouts a call may take: a read may have to
	// try three DataNodes, with a time-out to connect and one to answer each.
	callTimeouts = 6
	// settleTimeouts bounds how long the outcome of a rename is looked for.
	settleTimeouts = 3
	// maxIdle sessions are kept. Each renews its lease once a second, a small
	// request to the NameNode.
	maxIdle = 4
	idleFor = time.Minute
	retryIn = 250 * time.Millisecond
)

// FS is a store on HDFS.
type FS struct {
	base    string // absolute path on HDFS
	opts    Options
	client  hdfs.ClientOptions // without addresses and dial functions
	cluster cluster

	// failures counts what made us doubt the NameNode: sessions compare it with
	// its value when they last proved it right.
	failures atomic.Int64

	mu     sync.Mutex
	turn   int // where the list of addresses starts
	idle   []*session
	closed bool
}

var _ store.FS = (*FS)(nil)

// New returns the store at uri:
//
//	hdfs://host:port/base             port 8020 may be left out
//	hdfs://host1:port,host2:port/base
//	hdfs://name/base                  a name service of HADOOP_CONF_DIR
//	hdfs:///base                      the default file system of HADOOP_CONF_DIR
//
// It reads HADOOP_CONF_DIR and connects to nothing. Kerberos is not supported.
func New(uri string, opts Options) (*FS, error) {
	c, base, err := parseURI(uri)
	if err != nil {
		return nil, err
	}
	if opts.User == "" {
		opts.User = os.Getenv("HADOOP_USER_NAME")
	}
	if opts.User == "" {
		u, err := user.Current()
		if err != nil {
			return nil, fmt.Errorf("store %s: find the user's name (HADOOP_USER_NAME overrides it): %w", uri, err)
		}
		opts.User = u.Username
	}
	if opts.Timeout <= 0 {
		opts.Timeout = defaultTimeout
	}
	return &FS{
		base:    base,
		opts:    opts,
		cluster: c,
		client:  hdfs.ClientOptions{User: opts.User, UseDatanodeHostname: c.useHostname},
	}, nil
}

// User is who acts on HDFS.
func (f *FS) User() string { return f.opts.User }

// Close ends idle connections; those of open files end with the files.
func (f *FS) Close() error {
	f.mu.Lock()
	idle := f.idle
	f.idle, f.closed = nil, true
	f.mu.Unlock()
	for _, s := range idle {
		s.kill(errClosed)
	}
	return nil
}

func (f *FS) callLimit() time.Duration { return callTimeouts * f.opts.Timeout }

// abs is the path on HDFS of a path of the store.
func (f *FS) abs(p string) string {
	switch {
	case p == "":
		return f.base
	case f.base == "/":
		return "/" + p
	}
	return f.base + "/" + p
}
