package collectord

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/akupara/akupara/collectord/internal/spool"
	"github.com/akupara/akupara/collectord/internal/upload"
)

// metrics are the collector's own, and those of its parts.
type metrics struct {
	spool   *spool.Metrics
	upload  *upload.Metrics
	refused *prometheus.CounterVec // by the answer's status
	asked   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, status func() Status) *metrics {
	const prefix = "akupara_collector_"
	m := &metrics{
		spool:  spool.NewMetrics(reg),
		upload: upload.NewMetrics(reg),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "refused_total", Help: "Batches refused, by the status of the answer.",
		}, []string{"status"}),
		asked: prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "receipts_total", Help: "Batches that agents asked after."}),
	}
	gauge := func(name, help string, value func(Status) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + name, Help: help},
			func() float64 { return value(status()) })
	}
	reg.MustRegister(m.refused, m.asked,
		gauge("open_segments", "Segments that batches are appended to.", func(s Status) float64 { return float64(s.OpenSegments) }),
		gauge("waiting_bytes", "Bytes in the spool.", func(s Status) float64 { return float64(s.WaitingBytes) }),
		gauge("types", "Data types that have one of the places, of which there are max_types.", func(s Status) float64 { return float64(s.Types) }),
		gauge("refused_types", "Data types that are refused as others have all the places.", func(s Status) float64 { return float64(len(s.RefusedTypes)) }),
		gauge("oldest_age_seconds", "Age of the oldest segment in the spool.", func(s Status) float64 { return s.OldestAgeSeconds }),
		gauge("quarantined_bytes", "Bytes in the quarantine directory.", func(s Status) float64 { return float64(s.QuarantinedBytes) }),
	)
	return m
}
