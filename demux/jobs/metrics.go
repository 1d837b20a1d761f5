package jobs

import "github.com/prometheus/client_golang/prometheus"

// Metrics are those of all jobs of a process.
type Metrics struct {
	runs             *prometheus.CounterVec
	running, failing *prometheus.GaugeVec
	seconds          *prometheus.HistogramVec
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	labels := []string{"job", "type"}
	m := &Metrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "akupara_jobs_runs_total", Help: "Times that a job worked on a table, by how it ended.",
		}, append(labels[:2:2], "end")),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "akupara_jobs_running", Help: "1 while a job works on a table.",
		}, labels),
		failing: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "akupara_jobs_failing", Help: "How often a job has failed on a table since it last did not.",
		}, labels),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "akupara_jobs_seconds", Help: "Time a job took for a table.", Buckets: prometheus.ExponentialBuckets(0.01, 4, 10),
		}, []string{"job"}),
	}
	reg.MustRegister(m.runs, m.running, m.failing, m.seconds)
	return m
}

func (m *Metrics) count(job, dataType string, last *Last, f *Failing) {
	m.runs.WithLabelValues(job, dataType, last.End).Inc()
	m.seconds.WithLabelValues(job).Observe(last.Took.Seconds())
	n := 0
	if f != nil {
		n = f.Times
	}
	m.failing.WithLabelValues(job, dataType).Set(float64(n))
}
