package parse

import (
	"bytes"
	"fmt"

	"github.com/akupara/akupara/demux/parse/internal/applog"
	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
)

const hadoopAudit = "audit log: key=value behind a log4j head, keys become columns"

var (
	hdfsAuditParser = simple("hdfs_audit", "the NameNode's and the Router's "+hadoopAudit, func() format { return newHadoopAudit("hdfs_audit") }).guessed(clue{heading: "\tcmd="})
	yarnAuditParser = simple("yarn_audit", "the ResourceManager's and NodeManagers' "+hadoopAudit, func() format { return newHadoopAudit("yarn_audit") }).guessed(clue{heading: "AuditLogger: USER="})
)

// hadoopAuditFormat parses audit logs of Hadoop's daemons (FSNamesystem.audit,
// RMAuditLogger, NMAuditLogger):
//
//	2026-11-28 10:00:00,123 INFO FSNamesystem.audit: allowed=true	ugi=a (auth:SIMPLE)	ip=/192.0.2.1	cmd=open	src=/x	dst=null	perm=null	proto=rpc
//	2026-11-28 10:00:00,123 INFO …RMAuditLogger: USER=a	IP=192.0.2.1	OPERATION=Submit Application Request	TARGET=ClientRMService	RESULT=SUCCESS	APPID=application_1_2
//
// Between pairs stand tabs. Columns are the keys in lower case; user is what ugi
// begins with.
type hadoopAuditFormat struct {
	name string
	*keyed
	own   typedColumns
	lower []byte
}

func newHadoopAudit(name string) format {
	return &hadoopAuditFormat{name: name, keyed: newKeyed(), own: newTyped(textColumn("logger"), textColumn("user"))}
}

func (f *hadoopAuditFormat) begin(r *reader) {
	f.own.begin(r)
	f.keyed.begin(r)
}

func (f *hadoopAuditFormat) record(r *reader, rec []byte) {
	t, n := applog.Time(rec, &r.zone)
	if n == 0 {
		r.fail(rec, "not "+f.name+": there is no time, at byte 0")
		return
	}
	rest := bytes.TrimLeft(rec[n:], " \t")
	level := words.First(rest)
	if levels.Is(level) {
		rest = bytes.TrimLeft(rest[len(level):], " \t")
	} else {
		level = nil
	}
	logger, _, k := applog.LoggerName(rest)
	pairs := rest[k:]
	at := len(rec) - len(pairs)
	if !f.read(pairs) {
		r.fail(rec, fmt.Sprintf("not %s: there is no key=value, at byte %d", f.name, at))
		return
	}
	r.row()
	r.setTime(t, "time", rec[:n])
	if level != nil {
		r.setLevel(level, "level")
	}
	f.own.put(0, logger)
	for i := range f.fields {
		d := &f.fields[i]
		switch d.node.name {
		case "user":
			f.own.put(1, d.val)
			continue
		case "ugi":
			f.own.put(1, words.First(d.val))
		case "ip": // as InetAddress has it: name/address
			d.val = d.val[bytes.LastIndexByte(d.val, '/')+1:]
		}
		f.put(r, d)
	}
}

// read takes the pairs; it reports false where there are none.
func (f *hadoopAuditFormat) read(s []byte) bool {
	f.reset()
	sep := byte('\t')
	if bytes.IndexByte(s, sep) < 0 {
		sep = ' '
	}
	for len(s) > 0 {
		pair := s[:pairEnd(s, sep)]
		s = bytes.TrimLeft(s[len(pair):], " \t")
		key, v, ok := bytes.Cut(pair, []byte("="))
		if !ok || len(key) == 0 || len(key) > 64 || bytes.IndexByte(key, ' ') >= 0 {
			return false
		}
		if len(v) == 0 || string(v) == "null" {
			continue
		}
		f.lower = f.lower[:0]
		for _, c := range key {
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			f.lower = append(f.lower, c)
		}
		k, num := kindString, uint64(0)
		if string(f.lower) == "allowed" {
			k, num = bareValue(v)
		}
		f.add(f.child(f.root, f.lower, len(f.fields)), k, v, num)
	}
	return len(f.fields) > 0
}

// pairEnd returns where the pair ends that s starts with: at a tab; or, where
// spaces part them, before the next key.
func pairEnd(s []byte, sep byte) int {
	if sep == '\t' {
		if i := bytes.IndexByte(s, '\t'); i >= 0 {
			return i
		}
		return len(s)
	}
	for i := 1; i < len(s); i++ {
		if s[i-1] != ' ' {
			continue
		}
		k := i
		for k < len(s) && (times.LetterOrDigit(s[k]) || s[k] == '_') {
			k++
		}
		if k > i && k < len(s) && s[k] == '=' {
			return i - 1
		}
		i = max(i, k)
	}
	return len(s)
}
