package agentd

import (
	"github.com/akupara/akupara/agentd/internal/supervise"
	"github.com/prometheus/client_golang/prometheus"
)

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
