package agentd

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon"
	"github.com/gin-gonic/gin"
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

func describeYAML(c *gin.Context) { c.Data(http.StatusOK, "application/yaml", openAPI) }

func describeJSON(c *gin.Context) {
	body, err := openAPIJSON()
	if err != nil {
		daemon.Refuse(c, http.StatusInternalServerError, "%v", err)
		return
	}
	c.Data(http.StatusOK, "application/json", body)
}
