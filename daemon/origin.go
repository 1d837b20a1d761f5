package daemon

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Guard refuses, with 403, what CheckOrigin says. It is for Mux.Before.
func Guard(names func() []string) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if err := CheckOrigin(r, names()...); err != nil {
			Refuse(w, http.StatusForbidden, "%v", err)
			return false
		}
		return true
	}
}

// CheckOrigin says why a request is to be refused: it has a foreign Host or
// Origin, or a browser marks it as made for another site (Sec-Fetch-Site).
// Without it any web page that a user of this machine looks at could use an
// API: by a request of its own (Origin), or by giving its own name this
// machine's address (Host). names are allowed as hosts beside localhost,
// loopback addresses, the address that the request came in on and what the
// server's certificate is for.
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
