package agentd

import (
	"github.com/akupara/akupara/agentd/internal/supervise"
	"github.com/akupara/akupara/daemon/reload"
	"github.com/prometheus/client_golang/prometheus"
)

// register shows the parts' counters; unregister takes them back, so that an
// agent may be run again in one process.
func register(reg *prometheus.Registry, p *parts, r *reload.Reloader) (unregister func()) {
	var all []prometheus.Collector
	counter := func(name, help string, value func() float64) {
		all = append(all, prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: "akupara", Subsystem: "agent", Name: name, Help: help}, value))
	}
	gauge := func(name, help string, value func() float64) {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "akupara", Subsystem: "agent", Name: name, Help: help}, value))
	}
	counter("batches_total", "Batches that collectors took.", func() float64 { return float64(p.lanes.shipped().Batches) })
	counter("raw_bytes_total", "Bytes of those batches before compression.", func() float64 { return float64(p.lanes.shipped().Raw) })
	counter("wire_bytes_total", "Bytes of those batches as posted.", func() float64 { return float64(p.lanes.shipped().Wire) })
	counter("post_failures_total", "Posts that failed and are made again.", func() float64 { return float64(p.lanes.shipped().Failures) })
	counter("post_refusals_total", "Posts that a collector refused for good.", func() float64 { return float64(p.lanes.shipped().Refusals) })
	counter("given_up_batches_total", "Refused batches that were let go for their room; their sources send them again.", func() float64 { return float64(p.lanes.shipped().GivenUp) })
	gauge("refused_batches", "Refused batches that are kept.", func() float64 { return float64(p.lanes.shipped().Parked) })
	gauge("refused_types", "Data types that collectors refuse, as they have as many as they may have.", func() float64 { return float64(p.lanes.barred()) })
	gauge("personas_without_collector", "Personas, with that of adaptors which name none, of whose collectors none takes data.", func() float64 { return float64(p.lanes.away()) })
	gauge("buffer_bytes", "Bytes of chunks on their way.", func() float64 { return float64(p.lanes.shipped().Held) })
	counter("settled_bytes_total", "Bytes that collectors told to be settled.", func() float64 { return float64(p.lanes.accounted().Settled) })
	counter("resent_bytes_total", "Bytes that were sent again because nobody held them.", func() float64 { return float64(p.lanes.accounted().Resent) })
	gauge("unsettled_segments", "Collectors' segments that are not settled yet.", func() float64 { return float64(p.lanes.accounted().Segments) })
	gauge("spool_bytes", "Bytes in the agent's spool.", func() float64 { return float64(p.spool.Stats().Bytes) })
	gauge("spool_full", "1 while an adaptor waits as the agent's spool is full, 0 otherwise.", func() float64 {
		if p.spool.Full() {
			return 1
		}
		return 0
	})
	counter("spool_dropped_bytes_total", "Bytes that the full spool dropped.", func() float64 { return float64(p.spool.Stats().Dropped) })
	counter("spool_quarantined_bytes_total", "Damaged bytes that were moved to quarantine.", func() float64 { return float64(p.spool.Stats().Quarantined) })
	gauge("checkpoints_damaged", "Checkpoint files, and parts of them, that were damaged or missing at the start.", func() float64 { return float64(p.checkpoints.Damaged()) })
	gauge("data_dir_whole", "1 while the data directory is the one that the agent writes to, 0 while it was removed or replaced.", func() float64 {
		if p.dataDir.whole() != nil {
			return 0
		}
		return 1
	})
	counter("data_dir_mended_total", "How often the data directory was made anew after it was removed or replaced.", func() float64 { return float64(p.dataDir.mended.Load()) })
	for _, state := range []supervise.State{supervise.Running, supervise.Stopped, supervise.Failed, supervise.Waiting, supervise.Draining} {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "akupara", Subsystem: "agent", Name: "adaptors", Help: "Adaptors by state.",
			ConstLabels: prometheus.Labels{"state": string(state)},
		}, func() float64 { return float64(p.supervisor.Count(state)) }))
	}
	all = append(all, r.Metrics("agent")...)
	all = append(all, fleetMetrics{p.supervisor})
	all = append(all, dropMetrics{p})
	for _, c := range all {
		reg.MustRegister(c)
	}
	return func() {
		for _, c := range all {
			reg.Unregister(c)
		}
	}
}
