// Package all names every kind of adaptor.
package all

import (
	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/command"
	"github.com/akupara/akupara/adaptors/generate"
	"github.com/akupara/akupara/adaptors/heartbeat"
	"github.com/akupara/akupara/adaptors/httppoll"
	"github.com/akupara/akupara/adaptors/jolokia"
	"github.com/akupara/akupara/adaptors/journald"
	"github.com/akupara/akupara/adaptors/metrics"
	"github.com/akupara/akupara/adaptors/pods"
	"github.com/akupara/akupara/adaptors/process"
	"github.com/akupara/akupara/adaptors/spooldir"
	"github.com/akupara/akupara/adaptors/syslog"
	"github.com/akupara/akupara/adaptors/tail"
)

// Kinds returns every kind there is, by name.
func Kinds() []adaptors.Kind {
	return []adaptors.Kind{
		command.Kind(),
		generate.Kind(),
		heartbeat.Kind(),
		httppoll.Kind(),
		jolokia.Kind(),
		journald.Kind(),
		metrics.Kind(),
		pods.Kind(),
		process.Kind(),
		spooldir.Kind(),
		syslog.Kind(),
		tail.Kind(),
	}
}
