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
# One name, by whichever link: it tells the daemons from others.
dir=$(realpath -m "${AKUPARA_HDFS_DIR:-$root/.hdfs}")
lib=$dir/lib
state=${AKUPARA_HDFS_STATE:-$dir/run}
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

die() { echo "hdfs.sh: $*" >&2; exit 1; }
usage() { sed -n '5,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }

need() {
	local tool
	for tool in "$@"; do
		command -v "$tool" >/dev/null || { echo "hdfs.sh: SKIPPED: $tool is not installed (Debian: apt-get install default-jre-headless maven curl)" >&2; exit 3; }
	done
}

# ---- install

install() {
	local want
	want=$(cksum <"$here/pom.xml")
	[ "$(cat "$lib/.complete" 2>/dev/null)" = "$want" ] && return
	need java mvn
	mkdir -p "$dir"
	exec 8>"$dir/install.lock"
	flock 8
	if [ "$(cat "$lib/.complete" 2>/dev/null)" != "$want" ]; then
		echo "hdfs.sh: fetching Hadoop's jars into $lib (about 65 MB)"
		rm -rf "$lib" "$dir/lib.new"
		# Run from a folder of its own: Maven writes a target/ beside the pom.
		mkdir -p "$dir/pom"
		cp "$here/pom.xml" "$dir/pom/"
		(cd "$dir/pom" && mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
			-DincludeScope=runtime -DoutputDirectory="$dir/lib.new" 8>&-) || die "Maven could not fetch the jars"
		mv "$dir/lib.new" "$lib"
		echo "$want" >"$lib/.complete"
	fi
	exec 8>&-
}

# ---- configuration

prop() { printf '  <property><name>%s</name><value>%s</value></property>\n' "$1" "$2"; }

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
	cat >"$state/conf/log4j.properties" <<-'LOG'
		log4j.rootLogger=INFO,console
		log4j.appender.console=org.apache.log4j.ConsoleAppender
		log4j.appender.console.target=System.err
		log4j.appender.console.layout=org.apache.log4j.PatternLayout
		log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
	LOG
}

# ---- processes

# WebHDFS defines classes at run time, by a door that Java 17 keeps shut.
java_args=(-Xmx256m --add-opens=java.base/java.lang=ALL-UNNAMED -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.net.preferIPv4Stack=true
	"-Dhadoop.home.dir=$state" "-Dhadoop.log.dir=$state/logs" -cp "$state/conf:$lib/*")

pid_of() { cat "$state/pids/$1" 2>/dev/null || true; }

# A pid file alone proves nothing: the number may have been given to another process.
running() {
	local pid
	pid=$(pid_of "$1")
	[ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "hadoop.home.dir=$state "
}

launch() { # NAME ARGS...
	local name=$1
	shift
	running "$name" && return
	# Descriptor 9 is the lock of start: a daemon must not hold it.
	setsid java "${java_args[@]}" "$@" >>"$state/logs/$name.log" 2>&1 </dev/null 9>&- &
	echo $! >"$state/pids/$name"
}

end() { # NAME SIGNAL
	running "$1" || { rm -f "$state/pids/$1"; return 0; }
	local pid n=0
	pid=$(pid_of "$1")
	kill -CONT "$pid" 2>/dev/null || true
	kill "-$2" "$pid" 2>/dev/null || true
	while running "$1"; do
		n=$((n + 1))
		[ $n -eq 100 ] && kill -KILL "$pid" 2>/dev/null
		[ $n -gt 200 ] && die "process $pid ($1) does not end"
		sleep 0.1
	done
	rm -f "$state/pids/$1"
}

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

await() { # LIVE
	local end=$((SECONDS + wait_s))
	until ready "$1"; do
		if [ $SECONDS -ge $end ] || ! running namenode; then
			tail -n 20 "$state/logs/namenode.log" >&2
			die "HDFS is not ready after at most $wait_s s; its logs are in $state/logs"
		fi
		sleep 0.2
	done
}

# In a session of its own: what ends the owner from the keyboard must not end it.
watch_owner() {
	[ -n "${AKUPARA_HDFS_OWNER:-}" ] || return 0
	setsid "$here/hdfs.sh" await-owner </dev/null >/dev/null 2>&1 9>&- &
}

await_owner() {
	tail --pid="$AKUPARA_HDFS_OWNER" -f /dev/null
	# Gone already where the owner stopped and removed its cluster itself.
	[ -d "$state" ] || return 0
	stop
	rm -rf "$state"
}

start() {
	install
	need java curl flock setsid
	mkdir -p "$state"
	exec 9>"$state/lock"
	flock 9
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
	exec 9>&-
	echo "hdfs://127.0.0.1:$nn_port is ready (http://127.0.0.1:$nn_http, logs in $state/logs)"
}

stop() {
	local n
	for n in $(seq $nodes); do end "datanode$n" KILL; done
	end namenode KILL
}

status() {
	local name rc=0
	for name in namenode datanode1 datanode2 datanode3; do
		if running "$name"; then echo "$name runs, pid $(pid_of $name)"; else echo "$name is down"; rc=1; fi
	done
	if ready $nodes; then echo "hdfs://127.0.0.1:$nn_port is ready"; else echo "hdfs://127.0.0.1:$nn_port is not ready"; rc=1; fi
	return $rc
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
status) status ;;
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
