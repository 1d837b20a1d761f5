// Package rest is what a daemon with a larger REST API builds on: a gin engine
// with the same answers to what goes wrong, and the same guards, as daemon.Mux
// gives the agent, whose binary has no room for gin.
package rest

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/daemon/reload"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
)

// release turns gin's debug output off, which is a switch of the process.
var release = sync.OnceFunc(func() { gin.SetMode(gin.ReleaseMode) })

// NewEngine is a gin engine that answers panics with 500 and logs them, knows
// no proxies, and says in JSON what it has not got.
func NewEngine(log *slog.Logger) *gin.Engine {
	release()
	e := gin.New()
	e.HandleMethodNotAllowed = true
	_ = e.SetTrustedProxies(nil) // fails on malformed addresses only
	e.Use(gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, cause any) {
		log.Error("a request failed by our own bug", "path", c.Request.URL.Path, "panic", fmt.Sprint(cause))
		Refuse(c, http.StatusInternalServerError, "internal error")
	}))
	e.NoRoute(func(c *gin.Context) {
		Refuse(c, http.StatusNotFound, "there is no %s", c.Request.URL.Path)
	})
	e.NoMethod(func(c *gin.Context) {
		Refuse(c, http.StatusMethodNotAllowed, "%s does not take %s", c.Request.URL.Path, c.Request.Method)
	})
	return e
}

// Refuse ends a request with {"error": message}.
func Refuse(c *gin.Context, status int, format string, args ...any) {
	c.AbortWithStatusJSON(status, gin.H{"error": fmt.Sprintf(format, args...)})
}

// Guard refuses, with 403, what daemon.CheckOrigin says.
func Guard(names ...string) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := daemon.CheckOrigin(c.Request, names...); err != nil {
			Refuse(c, http.StatusForbidden, "%v", err)
		}
	}
}

// Authorize refuses, with 401, what the keeper does not allow, but for /healthz and
// /readyz.
func Authorize(k *daemon.Keeper) gin.HandlerFunc {
	allowed := k.Authorize("/healthz", "/readyz")
	return func(c *gin.Context) {
		if !allowed(c.Writer, c.Request) {
			c.Abort()
		}
	}
}

// Reload mounts what shows a daemon's config and has it read again: /v1/config and
// /v1/config/reload.
func Reload(r gin.IRoutes, reloader *reload.Reloader, section string, running any) {
	get, again := reloader.Handlers(section, running)
	r.GET("/v1/config", gin.WrapH(get))
	r.POST("/v1/config/reload", gin.WrapH(again))
}

// Ops mounts what every daemon serves: /healthz, /readyz and /metrics.
func Ops(r gin.IRoutes, metrics prometheus.Gatherer, h *daemon.Health) {
	for path, handler := range daemon.OpsHandlers(metrics, h) {
		r.GET(path, gin.WrapH(handler))
	}
}
