package agentd

import "github.com/prometheus/client_golang/prometheus"

// dropMetrics tell what filters, switches and personas left out.
type dropMetrics struct{ p *parts }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("akupara_agent_"+name, help, labels, nil)
}

var (
	droppedBytesDesc   = desc("dropped_bytes_total", "Bytes of records that an adaptor's filters or a full spool left out.", "adaptor", "reason")
	droppedRecordsDesc = desc("dropped_records_total", "Records that an adaptor's filters or a full spool left out.", "adaptor", "reason")
	lostBytesDesc      = desc("lost_bytes_total", "Bytes that an adaptor's sources destroyed before they were read or secured.", "adaptor")
	switchBytesDesc    = desc("switch_dropped_bytes_total", "Bytes of records that a switch left out.", "switch")
	switchRecordsDesc  = desc("switch_dropped_records_total", "Records that a switch left out.", "switch")
	switchOffDesc      = desc("switch_off", "1 while a switch keeps what it meets from being collected.", "switch")
	personaSentDesc    = desc("persona_sent_bytes_total", "Bytes that collectors took of a persona, before compression.", "persona")
	personaHeldDesc    = desc("persona_buffer_bytes", "Bytes of a persona's chunks on their way.", "persona")
	personaSpoolDesc   = desc("persona_spool_bytes", "Bytes of a persona's adaptors in the agent's spool.", "persona")
	quotaDesc          = desc("persona_quota_bytes", "Bytes that a persona may send in each period.", "persona")
	quotaUsedDesc      = desc("persona_quota_used_bytes", "Bytes of it that are used in this period.", "persona")
	quotaUpDesc        = desc("persona_quota_used_up", "1 while a persona's quota is used up.", "persona")
	personaDroppedDesc = desc("persona_dropped_bytes_total", "Bytes that a persona's rate or quota left out.", "persona")
)

// Describe implements prometheus.Collector.
func (dropMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{droppedBytesDesc, droppedRecordsDesc, lostBytesDesc, switchBytesDesc, switchRecordsDesc, switchOffDesc, personaSentDesc,
		personaHeldDesc, personaSpoolDesc, quotaDesc, quotaUsedDesc, quotaUpDesc, personaDroppedDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m dropMetrics) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, float64(v), labels...)
	}
	for adaptor, dropped := range m.p.supervisor.Dropped() {
		for reason, n := range dropped.Reasons {
			send(droppedBytesDesc, prometheus.CounterValue, n.Bytes, adaptor, reason)
			send(droppedRecordsDesc, prometheus.CounterValue, n.Records, adaptor, reason)
		}
	}
	for adaptor, lost := range m.p.supervisor.Lost() {
		send(lostBytesDesc, prometheus.CounterValue, lost.Bytes, adaptor)
	}
	for _, sw := range m.p.lanes.switches.List() {
		send(switchBytesDesc, prometheus.CounterValue, sw.DroppedBytes, sw.Name)
		send(switchRecordsDesc, prometheus.CounterValue, sw.DroppedRecords, sw.Name)
		send(switchOffDesc, prometheus.GaugeValue, one(sw.Off), sw.Name)
	}
	for _, v := range m.p.lanes.views(nil, m.p.spool.Used) {
		if v.Name == "" {
			continue // the agent's own metrics tell of them all
		}
		send(personaSentDesc, prometheus.CounterValue, v.Sent, v.Name)
		send(personaHeldDesc, prometheus.GaugeValue, v.Held, v.Name)
		send(personaSpoolDesc, prometheus.GaugeValue, v.Spool, v.Name)
		send(personaDroppedDesc, prometheus.CounterValue, v.DroppedBytes, v.Name)
		if v.Quota > 0 {
			send(quotaDesc, prometheus.GaugeValue, v.Quota, v.Name)
			send(quotaUsedDesc, prometheus.GaugeValue, v.Used, v.Name)
			send(quotaUpDesc, prometheus.GaugeValue, one(v.UsedUp), v.Name)
		}
	}
}

func one(on bool) int64 {
	if on {
		return 1
	}
	return 0
}
