package agentd

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon"
)

// openAPI describes the REST API. A test holds it against the handlers.
//
//go:embed openapi.yaml
var openAPI []byte

// openAPIJSON is openAPI in JSON, made when it is first asked for.
var openAPIJSON = sync.OnceValues(func() ([]byte, error) {
	node, problems := config.Parse("openapi.yaml", openAPI)
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("read the API's description: %w", err)
	}
	return json.Marshal(node.Any())
})

func describeYAML(w http.ResponseWriter, _ *http.Request) { write(w, "application/yaml", openAPI) }

func describeJSON(w http.ResponseWriter, _ *http.Request) {
	body, err := openAPIJSON()
	if err != nil {
		daemon.Refuse(w, http.StatusInternalServerError, "%v", err)
		return
	}
	write(w, "application/json", body)
}

func write(w http.ResponseWriter, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(body) // whoever asked may be gone
}
