#!/usr/bin/env bash
# A real YARN on loopback for tests, beside the HDFS of hdfs.sh: one ResourceManager
# and one NodeManager from Maven artifacts. Not for production: no permissions, no
# limits but those on memory.
#
#   yarn.sh install                 fetch the jars (idempotent)
#   yarn.sh start [--fresh]         start what is not running, wait until ready; --fresh wipes its state first
#   yarn.sh stop | status
#   yarn.sh kill-rm | start-rm | kill-nm | start-nm
#   yarn.sh application ARGS...     such as application -list
#   yarn.sh classpath               what a client needs: demux.yarn.classpath
#
# Exit codes: 0 done, 1 failed, 2 wrong usage, 3 Java or Maven is missing.
#
# Environment:
#   AKUPARA_YARN_DIR        jars and state (default ./.hdfs/yarn beside go.mod)
#   AKUPARA_YARN_STATE      state of this YARN: conf, local, logs, pids (default $AKUPARA_YARN_DIR/run)
#   AKUPARA_YARN_PORT_BASE  its ports: BASE to BASE+15 (default 8090)
#   AKUPARA_YARN_FS         the HDFS that it works with (default hdfs://127.0.0.1:8020)
#   AKUPARA_YARN_OWNER      a pid: YARN is stopped and its state removed when that process is gone
#   AKUPARA_YARN_WAIT       seconds to wait until ready (default 120)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# One name, by whichever link: it tells the daemons from others.
dir=$(realpath -m "${AKUPARA_YARN_DIR:-$root/.hdfs/yarn}")
lib=$dir/lib
state=${AKUPARA_YARN_STATE:-$dir/run}
base=${AKUPARA_YARN_PORT_BASE:-8090}
fs=${AKUPARA_YARN_FS:-hdfs://127.0.0.1:8020}
wait_s=${AKUPARA_YARN_WAIT:-120}
web=$base

die() { echo "yarn.sh: $*" >&2; exit 1; }
usage() { sed -n '6,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }

need() {
	local tool
	for tool in "$@"; do
		command -v "$tool" >/dev/null || { echo "yarn.sh: SKIPPED: $tool is not installed (Debian: apt-get install default-jre-headless maven curl)" >&2; exit 3; }
	done
}

# ---- install

install() {
	local want
	want=$(cksum <"$here/yarn/pom.xml")
	[ "$(cat "$lib/.complete" 2>/dev/null)" = "$want" ] && return
	need java mvn
	mkdir -p "$dir"
	exec 8>"$dir/install.lock"
	flock 8
	if [ "$(cat "$lib/.complete" 2>/dev/null)" != "$want" ]; then
		echo "yarn.sh: fetching Hadoop's jars into $lib (about 95 MB)"
		rm -rf "$lib" "$dir/lib.new"
		# Run from a folder of its own: Maven writes a target/ beside the pom.
		mkdir -p "$dir/pom"
		cp "$here/yarn/pom.xml" "$dir/pom/"
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
	mkdir -p "$state"/{conf,logs,pids,tmp,local,containers,store}
	# The jars hold no web applications; the daemons die without these folders.
	mkdir -p "$state"/conf/webapps/{cluster,node,proxy,static,jobhistory,mapreduce}
	{
		echo '<configuration>'
		prop fs.defaultFS "$fs"
		prop hadoop.tmp.dir "$state/tmp"
		prop ipc.client.connect.timeout 3000
		prop ipc.client.connect.max.retries 3
		prop ipc.client.connect.retry.interval 500
		echo '</configuration>'
	} >"$state/conf/core-site.xml"
	{
		echo '<configuration>'
		prop dfs.replication 1
		prop dfs.client.socket-timeout 10000
		prop dfs.client.block.write.replace-datanode-on-failure.policy NEVER
		echo '</configuration>'
	} >"$state/conf/hdfs-site.xml"
	{
		echo '<configuration>'
		prop yarn.resourcemanager.hostname 127.0.0.1
		prop yarn.resourcemanager.webapp.address "127.0.0.1:$web"
		prop yarn.resourcemanager.address "127.0.0.1:$((base + 1))"
		prop yarn.resourcemanager.scheduler.address "127.0.0.1:$((base + 2))"
		prop yarn.resourcemanager.resource-tracker.address "127.0.0.1:$((base + 3))"
		prop yarn.resourcemanager.admin.address "127.0.0.1:$((base + 4))"
		prop yarn.nodemanager.hostname 127.0.0.1
		prop yarn.nodemanager.address "127.0.0.1:$((base + 5))"
		prop yarn.nodemanager.localizer.address "127.0.0.1:$((base + 6))"
		prop yarn.nodemanager.webapp.address "127.0.0.1:$((base + 7))"
		prop mapreduce.shuffle.port $((base + 8))
		prop yarn.nodemanager.collector-service.address "127.0.0.1:$((base + 9))"
		prop yarn.nodemanager.amrmproxy.address "127.0.0.1:$((base + 10))"
		prop yarn.resourcemanager.scheduler.class org.apache.hadoop.yarn.server.resourcemanager.scheduler.fifo.FifoScheduler
		# A ResourceManager that is started again goes on with the jobs.
		prop yarn.resourcemanager.recovery.enabled true
		prop yarn.resourcemanager.store.class org.apache.hadoop.yarn.server.resourcemanager.recovery.FileSystemRMStateStore
		prop yarn.resourcemanager.fs.state-store.uri "file://$state/store"
		prop yarn.resourcemanager.connect.retry-interval.ms 500
		prop yarn.resourcemanager.work-preserving-recovery.scheduling-wait-ms 0
		prop yarn.resourcemanager.nodemanagers.heartbeat-interval-ms 200
		prop yarn.nodemanager.resource.memory-mb 6144
		prop yarn.nodemanager.resource.cpu-vcores 4
		prop yarn.scheduler.minimum-allocation-mb 128
		prop yarn.nodemanager.vmem-check-enabled false
		prop yarn.nodemanager.pmem-check-enabled false
		prop yarn.nodemanager.local-dirs "$state/local"
		prop yarn.nodemanager.log-dirs "$state/containers"
		prop yarn.nodemanager.delete.debug-delay-sec 0
		prop yarn.nodemanager.log.retain-seconds 3600
		prop yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage 99
		# Jobs without a reducer have it start, too.
		prop yarn.nodemanager.aux-services mapreduce_shuffle
		prop yarn.application.classpath "$state/conf,$lib/*"
		echo '</configuration>'
	} >"$state/conf/yarn-site.xml"
	{
		echo '<configuration>'
		prop mapreduce.framework.name yarn
		prop mapreduce.application.classpath "$state/conf,$lib/*"
		prop mapreduce.job.emit-timeline-data false
		prop yarn.app.mapreduce.am.staging-dir /tmp/hadoop-yarn/staging
		prop yarn.app.mapreduce.am.resource.mb 512
		prop yarn.app.mapreduce.am.command-opts "-Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.net.preferIPv4Stack=true --add-opens=java.base/java.lang=ALL-UNNAMED"
		prop yarn.app.mapreduce.am.scheduler.heartbeat.interval-ms 200
		prop mapreduce.map.memory.mb 512
		prop mapreduce.client.progressmonitor.pollinterval 200
		prop mapreduce.client.completion.pollinterval 500
		prop mapreduce.client.submit.file.replication 1
		echo '</configuration>'
	} >"$state/conf/mapred-site.xml"
	cat >"$state/conf/log4j.properties" <<-'LOG'
		log4j.rootLogger=INFO,console
		log4j.appender.console=org.apache.log4j.ConsoleAppender
		log4j.appender.console.target=System.err
		log4j.appender.console.layout=org.apache.log4j.PatternLayout
		log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
	LOG
}

# ---- processes

java_args=(-Xmx256m --add-opens=java.base/java.lang=ALL-UNNAMED -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.net.preferIPv4Stack=true
	"-Dhadoop.home.dir=$state" "-Dhadoop.log.dir=$state/logs" "-Dyarn.log.dir=$state/logs" -cp "$state/conf:$lib/*")

pid_of() { cat "$state/pids/$1" 2>/dev/null || true; }

# A pid file alone proves nothing: the number may have been given to another process.
running() {
	local pid
	pid=$(pid_of "$1")
	[ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "hadoop.home.dir=$state "
}

launch() { # NAME CLASS
	running "$1" && return
	# Descriptor 9 is the lock of start: a daemon must not hold it.
	setsid java "${java_args[@]}" "$2" >>"$state/logs/$1.log" 2>&1 </dev/null 9>&- &
	echo $! >"$state/pids/$1"
}

end() { # NAME SIGNAL
	running "$1" || { rm -f "$state/pids/$1"; return 0; }
	local pid n=0
	pid=$(pid_of "$1")
	kill "-$2" "$pid" 2>/dev/null || true
	while running "$1"; do
		n=$((n + 1))
		[ $n -eq 100 ] && kill -KILL "$pid" 2>/dev/null
		[ $n -gt 200 ] && die "process $pid ($1) does not end"
		sleep 0.1
	done
	rm -f "$state/pids/$1"
}

start_rm() { launch resourcemanager org.apache.hadoop.yarn.server.resourcemanager.ResourceManager; }
start_nm() { launch nodemanager org.apache.hadoop.yarn.server.nodemanager.NodeManager; }

# Containers outlive their NodeManager.
end_containers() {
	local file pid
	for file in $(grep -alF "LOCAL_DIRS=$state/local/" /proc/[0-9]*/environ 2>/dev/null || true); do
		pid=${file#/proc/}
		kill -KILL "${pid%/environ}" 2>/dev/null || true
	done
}

ready() { # NODES: the ResourceManager serves, with so many nodes at least
	local s n
	s=$(curl -sf --max-time 3 "http://127.0.0.1:$web/ws/v1/cluster/metrics" 2>/dev/null) || return 1
	n=$(sed -n 's/.*"activeNodes":\([0-9]*\).*/\1/p' <<<"$s")
	[ "${n:-0}" -ge "$1" ]
}

await() { # NODES
	local end=$((SECONDS + wait_s))
	until ready "$1"; do
		if [ $SECONDS -ge $end ] || ! running resourcemanager; then
			tail -n 20 "$state/logs/resourcemanager.log" >&2
			die "YARN is not ready after at most $wait_s s; its logs are in $state/logs"
		fi
		sleep 0.2
	done
}

# In a session of its own: what ends the owner from the keyboard must not end it.
watch_owner() {
	[ -n "${AKUPARA_YARN_OWNER:-}" ] || return 0
	setsid "$here/yarn.sh" await-owner </dev/null >/dev/null 2>&1 9>&- &
}

await_owner() {
	tail --pid="$AKUPARA_YARN_OWNER" -f /dev/null
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
		rm -rf "$state"/{tmp,logs,local,containers,store}
	fi
	if ! running resourcemanager; then
		configure
		watch_owner
	fi
	start_rm
	start_nm
	await 1
	exec 9>&-
	echo "YARN is ready (http://127.0.0.1:$web, logs in $state/logs)"
}

stop() {
	end nodemanager TERM
	end resourcemanager KILL
	end_containers
}

status() {
	local name rc=0
	for name in resourcemanager nodemanager; do
		if running "$name"; then echo "$name runs, pid $(pid_of $name)"; else echo "$name is down"; rc=1; fi
	done
	if ready 1; then echo "YARN is ready (http://127.0.0.1:$web)"; else echo "YARN is not ready"; rc=1; fi
	return $rc
}

case "${1:-}" in
install) install ;;
start) start "${2:-}" ;;
stop) stop ;;
status) status ;;
kill-rm) end resourcemanager KILL ;;
start-rm) start_rm; await 1 ;;
kill-nm) end nodemanager KILL ;;
start-nm) start_nm; await 1 ;;
await-owner) await_owner ;; # not for people
application) shift; exec java "${java_args[@]}" org.apache.hadoop.yarn.client.cli.ApplicationCLI application "$@" ;;
classpath) printf '%s\n' "$state/conf" "$lib/*" ;;
*) usage ;;
esac
