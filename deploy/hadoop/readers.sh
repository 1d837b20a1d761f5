#!/usr/bin/env bash
# Independent readers for the tests: PyIceberg, fastavro, DuckDB and Spark with
# Iceberg. Idempotent.
#
#   readers.sh        install; prints what was skipped and why
#
# Leaves, under AKUPARA_TOOLS_DIR (default ./.tools beside go.mod):
#   venv/bin/python                   Python with the packages of readers.txt
#   jars/iceberg-spark-runtime.jar    for Spark: .config("spark.jars", ...)
#
# Exit codes: 0 all there, 1 an installation failed, 3 Python, Java or Maven is
# missing and what needs it was skipped.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
tools=${AKUPARA_TOOLS_DIR:-$root/.tools}
iceberg=org.apache.iceberg:iceberg-spark-runtime-4.0_2.13:1.11.0

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

spark_iceberg() {
	[ "$(cat "$tools/jars/.complete" 2>/dev/null)" = "$iceberg" ] && return
	local tool
	for tool in java mvn; do
		command -v "$tool" >/dev/null || { skip "Spark: $tool is not installed (Debian: apt-get install default-jre-headless maven)"; return; }
	done
	echo "readers.sh: fetching $iceberg"
	mkdir -p "$tools/jars"
	(cd "$tools/jars" && mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
		-Dartifact="$iceberg" -DoutputDirectory="$tools/jars" -Dmdep.stripVersion=true 9>&-)
	mv "$tools"/jars/iceberg-spark-runtime-4.0_2.13.jar "$tools/jars/iceberg-spark-runtime.jar"
	echo "$iceberg" >"$tools/jars/.complete"
}

python_readers
spark_iceberg
exit $skipped
