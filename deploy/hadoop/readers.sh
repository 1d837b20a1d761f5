#!/usr/bin/env bash
# What tests hold Akupara against: independent readers (PyIceberg, fastavro,
# DuckDB and Spark with Iceberg), and a Jolokia agent to read from. Idempotent.
#
#   readers.sh        install; prints what was skipped and why
#
# Leaves, under AKUPARA_TOOLS_DIR (default ./.tools beside go.mod):
#   venv/bin/python                   Python with the packages of readers.txt
#   jars/iceberg-spark-runtime.jar    for Spark: .config("spark.jars", ...)
#   jars/jolokia-agent.jar            for Java: -javaagent:...
#
# Exit codes: 0 all there, 1 an installation failed, 3 Python, Java or Maven is
# missing and what needs it was skipped.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
tools=${AKUPARA_TOOLS_DIR:-$root/.tools}
iceberg=org.apache.iceberg:iceberg-spark-runtime-4.0_2.13:1.11.0
jolokia=org.jolokia:jolokia-agent-jvm:2.1.2:jar:javaagent

skipped=0
skip() { echo "readers.sh: SKIPPED: $*" >&2; skipped=3; }

mkdir -p "$tools"
if command -v flock >/dev/null; then
	exec 9>"$tools/readers.lock"
	flock 9
fi

python_readers() {
	local want
	want=$(cksum <"$here/readers.txt")
	[ "$(cat "$tools/venv/.complete" 2>/dev/null)" = "$want" ] && return
	command -v python3 >/dev/null || { skip "Python readers: python3 is not installed"; return; }
	rm -rf "$tools/venv"
	python3 -m venv "$tools/venv" || { rm -rf "$tools/venv"; skip "Python readers: python3 -m venv does not work (Debian: apt-get install python3-venv)"; return; }
	echo "readers.sh: installing Python readers into $tools/venv (about 1 GB, Spark is most of it)"
	"$tools/venv/bin/pip" install -q --disable-pip-version-check -r "$here/readers.txt"
	echo "$want" >"$tools/venv/.complete"
}

# jar ARTIFACT ITS-NAME OUR-NAME MARKER WHAT-FOR fetches one from Maven Central.
jar() {
	[ "$(cat "$tools/jars/$4" 2>/dev/null)" = "$1" ] && return
	local tool
	for tool in java mvn; do
		command -v "$tool" >/dev/null || { skip "$5: $tool is not installed (Debian: apt-get install default-jre-headless maven)"; return; }
	done
	echo "readers.sh: fetching $1"
	mkdir -p "$tools/jars"
	(cd "$tools/jars" && mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
		-Dartifact="$1" -DoutputDirectory="$tools/jars" -Dmdep.stripVersion=true 9>&-)
	mv "$tools/jars/$2.jar" "$tools/jars/$3.jar"
	echo "$1" >"$tools/jars/$4"
}

python_readers
jar "$iceberg" iceberg-spark-runtime-4.0_2.13 iceberg-spark-runtime .complete Spark
jar "$jolokia" jolokia-agent-jvm-javaagent jolokia-agent .jolokia Jolokia
exit $skipped
