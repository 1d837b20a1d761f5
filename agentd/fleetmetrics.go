package agentd

import (
	"github.com/akupara/akupara/agentd/internal/supervise"
	"github.com/prometheus/client_golang/prometheus"
)

// configMetrics tell which config is applied, and whether the last one was.
func configMetrics(r *reloader) []prometheus.Collector {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "akupara", Subsystem: "agent", Name: name, Help: help}, value)
	}
	return []prometheus.Collector{
		gauge("config_generation", "Configs that were applied since the start.", func() float64 {
			_, generation := r.fleet.config()
			return float64(generation)
		}),
		gauge("config_last_reload_successful", "0 while the newest config is refused and an older one goes on.", func() float64 {
			if _, _, ok := r.status(); ok {
				return 1
			}
			return 0
		}),
		gauge("config_applied_timestamp_seconds", "When the config was applied.", func() float64 {
			_, applied, _ := r.status()
			return float64(applied.UnixMilli()) / 1000
		}),
		configHash{r},
	}
}

// configHash tells the hash of the config that is applied, as a label.
type configHash struct{ r *reloader }

var configHashDesc = prometheus.NewDesc("akupara_agent_config_hash_info", "SHA-256 of the config file that is applied.", []string{"hash"}, nil)

// Describe implements prometheus.Collector.
func (configHash) Describe(ch chan<- *prometheus.Desc) { ch <- configHashDesc }

// Collect implements prometheus.Collector.
func (c configHash) Collect(ch chan<- prometheus.Metric) {
	hash, _, _ := c.r.status()
	ch <- prometheus.MustNewConstMetric(configHashDesc, prometheus.GaugeValue, 1, hash)
}

// fleetMetrics tell of each adaptor.
type fleetMetrics struct{ supervisor *supervise.Supervisor }

var (
	lagBytesDesc   = prometheus.NewDesc("akupara_agent_adaptor_lag_bytes", "Bytes in an adaptor's sources that are not settled.", []string{"adaptor"}, nil)
	lagSecondsDesc = prometheus.NewDesc("akupara_agent_adaptor_lag_seconds", "How old the oldest of them is.", []string{"adaptor"}, nil)
	readDesc       = prometheus.NewDesc("akupara_agent_adaptor_bytes_total", "Bytes that an adaptor handed over.", []string{"adaptor"}, nil)
	recordsDesc    = prometheus.NewDesc("akupara_agent_adaptor_records_total", "Records that an adaptor handed over.", []string{"adaptor"}, nil)
)

// Describe implements prometheus.Collector.
func (fleetMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{lagBytesDesc, lagSecondsDesc, readDesc, recordsDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m fleetMetrics) Collect(ch chan<- prometheus.Metric) {
	for _, t := range m.supervisor.Totals() {
		ch <- prometheus.MustNewConstMetric(lagBytesDesc, prometheus.GaugeValue, float64(t.LagBytes), t.Name)
		ch <- prometheus.MustNewConstMetric(lagSecondsDesc, prometheus.GaugeValue, t.LagSeconds, t.Name)
		ch <- prometheus.MustNewConstMetric(readDesc, prometheus.CounterValue, float64(t.Bytes), t.Name)
		ch <- prometheus.MustNewConstMetric(recordsDesc, prometheus.CounterValue, float64(t.Records), t.Name)
	}
}
