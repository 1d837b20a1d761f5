#!/usr/bin/env bash
# A real HDFS on loopback for tests: one NameNode and three DataNodes from
# Maven artifacts. Not for production: no fsync of edits, no permissions.
#
#   hdfs.sh install                 fetch the jars (idempotent)
#   hdfs.sh start [--fresh]         start what is not running, wait until ready; --fresh wipes all data first
#   hdfs.sh stop | status
#   hdfs.sh kill-datanode N | start-datanode N | pause-datanode N | resume-datanode N     N is 1, 2 or 3
#   hdfs.sh kill-namenode | start-namenode | restart-namenode | pause-namenode | resume-namenode
#   hdfs.sh dfs ARGS... | dfsadmin ARGS...
#
# Exit codes: 0 done, 1 failed, 2 wrong usage, 3 Java or Maven is missing.
#
# Environment:
#   AKUPARA_HDFS_DIR        jars and state (default ./.hdfs beside go.mod)
#   AKUPARA_HDFS_STATE      state of this cluster: conf, data, logs, pids (default $AKUPARA_HDFS_DIR/run)
#   AKUPARA_HDFS_PORT_BASE  a private cluster: NameNode at BASE, http at BASE+1, DataNode N at BASE+10N..+2
#                           (default: 8020, 9870, 9810 9820 9830)
#   AKUPARA_HDFS_OWNER      a pid: the cluster is stopped and its state removed when that process is gone
#   AKUPARA_HDFS_WAIT       seconds to wait until ready (default 120)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
self=hdfs.sh
pom=$here/pom.xml
size="65 MB"
# One name, by whichever link: it tells the daemons from others.
dir=$(realpath -m "${AKUPARA_HDFS_DIR:-$root/.hdfs}")
state=${AKUPARA_HDFS_STATE:-$dir/run}
first=namenode
owner=${AKUPARA_HDFS_OWNER:-}
wait_s=${AKUPARA_HDFS_WAIT:-120}
nodes=3

if [ -n "${AKUPARA_HDFS_PORT_BASE:-}" ]; then
	nn_port=$AKUPARA_HDFS_PORT_BASE
	nn_http=$((AKUPARA_HDFS_PORT_BASE + 1))
	dn_base=$AKUPARA_HDFS_PORT_BASE
else
	nn_port=8020
	nn_http=9870
	dn_base=9800
fi

what=hdfs://127.0.0.1:$nn_port

# shellcheck source=daemons.sh
. "$here/daemons.sh"

# ---- configuration

configure() {
	mkdir -p "$state"/{conf,logs,pids,tmp}
	# The jars hold no web applications; the daemons die without these folders.
	mkdir -p "$state"/conf/webapps/{hdfs,datanode,static,logs}
	{
		echo '<configuration>'
		prop fs.defaultFS "hdfs://127.0.0.1:$nn_port"
		prop hadoop.tmp.dir "$state/tmp"
		prop ipc.client.connect.timeout 3000
		prop ipc.client.connect.max.retries 3
		prop ipc.client.connect.retry.interval 500
		prop ipc.client.connect.max.retries.on.timeouts 2
		echo '</configuration>'
	} >"$state/conf/core-site.xml"
	{
		echo '<configuration>'
		prop dfs.namenode.name.dir "file://$state/name"
		prop dfs.namenode.rpc-address "127.0.0.1:$nn_port"
		prop dfs.namenode.http-address "127.0.0.1:$nn_http"
		prop dfs.replication 3
		prop dfs.permissions.enabled false
		prop dfs.namenode.datanode.registration.ip-hostname-check false
		prop dfs.datanode.hostname 127.0.0.1
		prop dfs.namenode.safemode.extension 0
		# A dead node is known after 2*2s + 10*1s, a silent one is avoided after 3s.
		prop dfs.heartbeat.interval 1
		prop dfs.namenode.heartbeat.recheck-interval 2000
		prop dfs.namenode.stale.datanode.interval 3000
		prop dfs.namenode.avoid.read.stale.datanode true
		prop dfs.namenode.avoid.write.stale.datanode true
		prop dfs.namenode.write.stale.datanode.ratio 1.0
		prop dfs.namenode.redundancy.interval.seconds 1
		prop dfs.namenode.fs-limits.min-block-size 1024
		prop dfs.namenode.edits.noeditlogchannelflush true
		prop dfs.client.socket-timeout 10000
		prop dfs.client.block.write.replace-datanode-on-failure.policy NEVER
		echo '</configuration>'
	} >"$state/conf/hdfs-site.xml"
	configure_log
}

# ---- processes

start_namenode() { launch namenode org.apache.hadoop.hdfs.server.namenode.NameNode; }

start_datanode() {
	local n=$1 p
	p=$((dn_base + 10 * n))
	mkdir -p "$state/data$n"
	chmod 700 "$state/data$n"
	launch "datanode$n" org.apache.hadoop.hdfs.server.datanode.DataNode \
		"-Ddfs.datanode.data.dir=file://$state/data$n" "-Ddfs.datanode.address=127.0.0.1:$p" \
		"-Ddfs.datanode.http.address=127.0.0.1:$((p + 1))" "-Ddfs.datanode.ipc.address=127.0.0.1:$((p + 2))" \
		-Dipc.client.connect.max.retries=100
}

jmx() { curl -sf --max-time 3 "http://127.0.0.1:$nn_http/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState" 2>/dev/null; }

ready() { # LIVE: operational and at least so many live nodes, none of them stale
	local s
	s=$(jmx) || return 1
	grep -q '"FSState" : "Operational"' <<<"$s" || return 1
	local live
	live=$(sed -n 's/.*"NumLiveDataNodes" : \([0-9]*\).*/\1/p' <<<"$s")
	[ "${live:-0}" -ge "$1" ] || return 1
	[ "$1" -eq 0 ] || grep -q '"NumStaleDataNodes" : 0' <<<"$s"
}

start() {
	lock_start
	if [ "${1:-}" = --fresh ]; then
		stop
		rm -rf "$state"/{name,tmp,logs} "$state"/data[0-9]
	fi
	if ! running namenode; then
		configure
		if [ ! -e "$state/name/current/VERSION" ]; then
			rm -rf "$state/name" "$state"/data[0-9]
			java "${java_args[@]}" org.apache.hadoop.hdfs.server.namenode.NameNode -format -nonInteractive \
				>"$state/logs/format.log" 2>&1 9>&- || { tail -n 20 "$state/logs/format.log" >&2; die "the NameNode could not be formatted"; }
		fi
		watch_owner
	fi
	start_namenode
	local n
	for n in $(seq $nodes); do start_datanode "$n"; done
	await $nodes
	unlock_start
	echo "$what is ready (http://127.0.0.1:$nn_http, logs in $state/logs)"
}

stop() {
	local n
	for n in $(seq $nodes); do end "datanode$n" KILL; done
	end namenode KILL
}

sig() { # NAME SIGNAL
	running "$1" || die "$1 is not running"
	kill "-$2" "$(pid_of "$1")"
}

tool() { # CLASS ARGS...
	exec java "${java_args[@]}" "$@"
}

node() { case "${1:-}" in [123]) echo "datanode$1" ;; *) usage ;; esac; }

case "${1:-}" in
install) install ;;
start) start "${2:-}" ;;
stop) stop ;;
status) daemons_status $nodes namenode datanode1 datanode2 datanode3 ;;
kill-datanode) end "$(node "${2:-}")" KILL ;;
start-datanode) node "${2:-}" >/dev/null; start_datanode "$2" ;;
pause-datanode) sig "$(node "${2:-}")" STOP ;;
resume-datanode) sig "$(node "${2:-}")" CONT ;;
kill-namenode) end namenode KILL ;;
start-namenode) start_namenode; await 0 ;;
restart-namenode) end namenode KILL; start_namenode; await 1 ;;
pause-namenode) sig namenode STOP ;;
resume-namenode) sig namenode CONT ;;
await-owner) await_owner ;; # not for people
dfs) shift; tool org.apache.hadoop.fs.FsShell "$@" ;;
dfsadmin) shift; tool org.apache.hadoop.hdfs.tools.DFSAdmin "$@" ;;
*) usage ;;
esac
