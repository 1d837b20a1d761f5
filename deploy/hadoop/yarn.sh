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
self=yarn.sh
pom=$here/yarn/pom.xml
size="95 MB"
# One name, by whichever link: it tells the daemons from others.
dir=$(realpath -m "${AKUPARA_YARN_DIR:-$root/.hdfs/yarn}")
state=${AKUPARA_YARN_STATE:-$dir/run}
first=resourcemanager
what=YARN
owner=${AKUPARA_YARN_OWNER:-}
wait_s=${AKUPARA_YARN_WAIT:-120}
base=${AKUPARA_YARN_PORT_BASE:-8090}
fs=${AKUPARA_YARN_FS:-hdfs://127.0.0.1:8020}
web=$base

# shellcheck source=daemons.sh
. "$here/daemons.sh"

# ---- configuration

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
	configure_log
}

# ---- processes

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

start() {
	lock_start
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
	unlock_start
	echo "YARN is ready (http://127.0.0.1:$web, logs in $state/logs)"
}

stop() {
	end nodemanager TERM
	end resourcemanager KILL
	end_containers
}

case "${1:-}" in
install) install ;;
start) start "${2:-}" ;;
stop) stop ;;
status) daemons_status 1 resourcemanager nodemanager ;;
kill-rm) end resourcemanager KILL ;;
start-rm) start_rm; await 1 ;;
kill-nm) end nodemanager KILL ;;
start-nm) start_nm; await 1 ;;
await-owner) await_owner ;; # not for people
application) shift; exec java "${java_args[@]}" org.apache.hadoop.yarn.client.cli.ApplicationCLI application "$@" ;;
classpath) printf '%s\n' "$state/conf" "$lib/*" ;;
*) usage ;;
esac
