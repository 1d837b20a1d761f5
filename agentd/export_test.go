package agentd

import (
	"log/slog"
	"slices"

	"github.com/akupara/akupara/daemon"
)

// Routes are the API's, as METHOD and path as openapi.yaml writes it.
func Routes() []string {
	log := slog.New(slog.DiscardHandler)
	a := &Agent{deps: Deps{Log: log, Registry: daemon.NewRegistry()}}
	var out []string
	for path, methods := range a.handler(handlers{}, daemon.NewKeeper(daemon.Access{}, log), daemon.NewHealth()).Routes() {
		for _, method := range methods {
			out = append(out, method+" "+path)
		}
	}
	slices.Sort(out)
	return out
}
