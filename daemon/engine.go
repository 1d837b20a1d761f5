package daemon

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
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

// Guard refuses requests with a foreign Host or Origin, and those that a browser
// marks as made for another site (Sec-Fetch-Site), with 403. Without it
// any web page that a user of this machine looks at could use the API: by a
// request of its own (Origin), or by giving its own name this machine's
// address (Host). names are allowed as hosts beside localhost, loopback
// addresses, the address that the request came in on and what the server's
// certificate is for.
func Guard(names ...string) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := CheckOrigin(c.Request, names...); err != nil {
			Refuse(c, http.StatusForbidden, "%v", err)
		}
	}
}

// CheckOrigin is what Guard checks.
func CheckOrigin(r *http.Request, names ...string) error {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if _, unix := local.(*net.UnixAddr); !unix && !ownHost(r, local, names) {
		return fmt.Errorf("the host %q is not this server's; use localhost, an address of its own or a name that its config allows", r.Host)
	}
	for _, origin := range r.Header.Values("Origin") {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Host != r.Host {
			return fmt.Errorf("requests from pages of another origin (%q) are refused", origin)
		}
	}
	// "none" is a person who typed the address.
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return fmt.Errorf("requests from pages of another origin (Sec-Fetch-Site: %q) are refused", site)
		}
	}
	return nil
}

func ownHost(r *http.Request, local net.Addr, names []string) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "localhost" || slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, host) }) {
		return true
	}
	if r.TLS != nil && certNames(r.Context(), host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	if ip.Unmap().IsLoopback() {
		return true
	}
	tcp, ok := local.(*net.TCPAddr)
	return ok && tcp.AddrPort().Addr().Unmap() == ip.Unmap()
}
