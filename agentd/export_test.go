package agentd

import (
	"log/slog"

	"github.com/akupara/akupara/daemon"
)

// Routes are the API's, as METHOD and path as openapi.yaml writes it.
func Routes() []string {
	log := slog.New(slog.DiscardHandler)
	a := &Agent{deps: Deps{Log: log, Registry: daemon.NewRegistry()}}
	var out []string
	for _, r := range a.handler(handlers{}, daemon.NewKeeper(daemon.Access{}, log), daemon.NewHealth()).Routes() {
		out = append(out, r.Method+" "+braces(r.Path))
	}
	return out
}

// braces turns /:name into /{name}.
func braces(path string) string {
	out := ""
	for i := 0; i < len(path); i++ {
		if path[i] != ':' {
			out += string(path[i])
			continue
		}
		end := i + 1
		for end < len(path) && path[end] != '/' {
			end++
		}
		out += "{" + path[i+1:end] + "}"
		i = end - 1
	}
	return out
}
