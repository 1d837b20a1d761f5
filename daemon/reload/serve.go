package reload

import (
	"errors"
	"net"
	"net/http"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon"
	"github.com/prometheus/client_golang/prometheus"
)

// view is a daemon's config as its API shows it.
type view struct {
	Status
	Changed   *changed       `json:"changed,omitempty"`
	Effective map[string]any `json:"effective"`
}

type changed struct {
	Applied []string `json:"applied"`
}

// Handlers are what a daemon serves of its section, by path: GET /v1/config, and
// POST /v1/config/reload. They answer requests from this machine alone: the
// daemons' APIs ask for no login. running is what is shown where there is no file.
func (r *Reloader) Handlers(section string, running any) (get, reload http.Handler) {
	show := func(done *changed) view {
		now := running
		r.mu.Lock()
		if s, ok := r.running[section]; ok {
			now = s.Config
		}
		r.mu.Unlock()
		shown, _ := config.HideSecrets(config.Effective(now)).(map[string]any)
		return view{r.Status(), done, shown}
	}
	get = ownMachine(func(w http.ResponseWriter, _ *http.Request) {
		daemon.Reply(w, http.StatusOK, show(nil))
	})
	reload = ownMachine(func(w http.ResponseWriter, _ *http.Request) {
		done, err := r.Reload("REST")
		if err != nil {
			Refuse(w, err)
			return
		}
		daemon.Reply(w, http.StatusOK, show(&changed{done[section].Keys}))
	})
	return get, reload
}

// Refuse answers with why nothing was reloaded.
func Refuse(w http.ResponseWriter, err error) {
	body := map[string]any{"error": err.Error()}
	if problems := Lines(err); len(problems) > 0 {
		body["problems"] = problems
	}
	daemon.Reply(w, StatusOf(err), body)
}

// StatusOf returns the status of an answer that says why nothing was reloaded.
func StatusOf(err error) int {
	var restart RestartError
	var problems config.Problems
	switch {
	case errors.As(err, &restart), errors.Is(err, ErrNoFile), errors.Is(err, ErrUnread):
		return http.StatusConflict
	case errors.As(err, &problems), errors.Is(err, ErrUnfit):
		return http.StatusBadRequest
	case errors.Is(err, ErrStarting):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// ownMachine refuses requests that come from elsewhere, or that a page of another
// origin makes a browser send.
func ownMachine(serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil && !net.ParseIP(host).IsLoopback() { // a Unix socket has no port
			daemon.Refuse(w, http.StatusForbidden, "%s answers requests from its own machine alone", r.URL.Path)
			return
		}
		if err := daemon.CheckOrigin(r); err != nil {
			daemon.Refuse(w, http.StatusForbidden, "%v", err)
			return
		}
		serve(w, r)
	})
}

// Metrics tell which config a daemon has applied, and whether the last one was;
// their names begin with akupara_ and the daemon.
func (r *Reloader) Metrics(who string) []prometheus.Collector {
	gauge := func(name, help string, value func(Status) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "akupara", Subsystem: who, Name: name, Help: help},
			func() float64 { return value(r.Status()) })
	}
	return []prometheus.Collector{
		gauge("config_generation", "Configs that were applied since the start.", func(s Status) float64 { return float64(s.Generation) }),
		gauge("config_last_reload_successful", "0 while the newest config is refused and an older one goes on.", func(s Status) float64 {
			if s.Refused != nil {
				return 0
			}
			return 1
		}),
		gauge("config_applied_timestamp_seconds", "When the config was applied.", func(s Status) float64 { return float64(s.Applied.UnixMilli()) / 1000 }),
		configHash{r, prometheus.NewDesc("akupara_"+who+"_config_hash_info", "SHA-256 of the config file that is applied.", []string{"hash"}, nil)},
	}
}

// configHash tells the hash of the config that is applied, as a label.
type configHash struct {
	r    *Reloader
	desc *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c configHash) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect implements prometheus.Collector.
func (c configHash) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, 1, c.r.Status().Hash)
}
