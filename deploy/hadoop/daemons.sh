# What hdfs.sh and yarn.sh have in common: jars from Maven, the form of Hadoop's
# configuration, and daemons that are processes of this machine. They source it after
# having set
#
#   self      the script's name
#   pom       says which jars there are to be, of about how many bytes: size
#   dir       where the jars (lib) are; state: where conf, logs and pids are
#   first     the daemon without which the others are nothing
#   what      they are together
#   owner     a pid, or nothing: when that process is gone, all is stopped and removed
#   wait_s    seconds to wait until all is ready
#
# and they define stop, and ready NODES, which reports whether so many nodes serve.

lib=$dir/lib

die() { echo "$self: $*" >&2; exit 1; }

# The commands, as the script's own head lists them.
usage() { sed -n "/^#   $self install/,/^#\$/s/^# \{0,1\}//p" "$here/$self" >&2; exit 2; }

need() {
	local tool
	for tool in "$@"; do
		command -v "$tool" >/dev/null || { echo "$self: SKIPPED: $tool is not installed (Debian: apt-get install default-jre-headless maven curl)" >&2; exit 3; }
	done
}

# ---- jars

install() {
	local want
	want=$(cksum <"$pom")
	[ "$(cat "$lib/.complete" 2>/dev/null)" = "$want" ] && return
	need java mvn
	mkdir -p "$dir"
	exec 8>"$dir/install.lock"
	flock 8
	if [ "$(cat "$lib/.complete" 2>/dev/null)" != "$want" ]; then
		echo "$self: fetching Hadoop's jars into $lib (about $size)"
		rm -rf "$lib" "$dir/lib.new"
		# Run from a folder of its own: Maven writes a target/ beside the pom.
		mkdir -p "$dir/pom"
		cp "$pom" "$dir/pom/"
		(cd "$dir/pom" && mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
			-DincludeScope=runtime -DoutputDirectory="$dir/lib.new" 8>&-) || die "Maven could not fetch the jars"
		mv "$dir/lib.new" "$lib"
		echo "$want" >"$lib/.complete"
	fi
	exec 8>&-
}

# ---- configuration

prop() { printf '  <property><name>%s</name><value>%s</value></property>\n' "$1" "$2"; }

configure_log() {
	cat >"$state/conf/log4j.properties" <<-'LOG'
		log4j.rootLogger=INFO,console
		log4j.appender.console=org.apache.log4j.ConsoleAppender
		log4j.appender.console.target=System.err
		log4j.appender.console.layout=org.apache.log4j.PatternLayout
		log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
	LOG
}

# ---- processes

# Some classes are defined at run time, by a door that Java 17 keeps shut.
java_args=(-Xmx256m --add-opens=java.base/java.lang=ALL-UNNAMED -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.net.preferIPv4Stack=true
	"-Dhadoop.home.dir=$state" "-Dhadoop.log.dir=$state/logs" "-Dyarn.log.dir=$state/logs" -cp "$state/conf:$lib/*")

pid_of() { cat "$state/pids/$1" 2>/dev/null || true; }

# A pid file alone proves nothing: the number may have been given to another process.
running() {
	local pid
	pid=$(pid_of "$1")
	[ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "hadoop.home.dir=$state "
}

launch() { # NAME CLASS ARGS...
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

await() { # NODES
	local end=$((SECONDS + wait_s))
	until ready "$1"; do
		if [ $SECONDS -ge $end ] || ! running "$first"; then
			tail -n 20 "$state/logs/$first.log" >&2
			die "$what is not ready after at most $wait_s s; its logs are in $state/logs"
		fi
		sleep 0.2
	done
}

# In a session of its own: what ends the owner from the keyboard must not end it.
watch_owner() {
	[ -n "$owner" ] || return 0
	setsid "$here/$self" await-owner </dev/null >/dev/null 2>&1 9>&- &
}

await_owner() {
	tail --pid="$owner" -f /dev/null
	# Gone already where the owner stopped and removed it itself.
	[ -d "$state" ] || return 0
	stop
	rm -rf "$state"
}

# lock_start makes this the only start, until unlock_start.
lock_start() {
	install
	need java curl flock setsid
	mkdir -p "$state"
	exec 9>"$state/lock"
	flock 9
}

unlock_start() { exec 9>&-; }

daemons_status() { # NODES NAMES...
	local nodes=$1 name rc=0
	shift
	for name in "$@"; do
		if running "$name"; then echo "$name runs, pid $(pid_of "$name")"; else echo "$name is down"; rc=1; fi
	done
	if ready "$nodes"; then echo "$what is ready"; else echo "$what is not ready"; rc=1; fi
	return $rc
}
