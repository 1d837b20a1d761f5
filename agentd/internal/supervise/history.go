package supervise

import (
	"bytes"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/akupara/akupara/chunk"
)

// sampleEvery is how often each adaptor's totals are noted. Lag in seconds and
// rates are as exact as that.
const sampleEvery = 5 * time.Second

// maxSamples bounds a history: the newer half holds more than a quarter of an
// hour, the older half ever wider steps back to the start.
const maxSamples = 400

// history holds the totals of one adaptor over time. It outlives the adaptor's
// updates. It is safe for concurrent use.
type history struct {
	losses losses

	mu      sync.Mutex
	bytes   int64 // handed over, again after a rewind or a loss
	records int64
	settled int64 // since the start
	samples []sample
}

type sample struct {
	at      time.Time
	seen    int64 // settled, and known to be in the sources beyond that
	bytes   int64
	records int64
}

func newHistory(now time.Time) *history { return &history{samples: []sample{{at: now}}} }

// handed counts a chunk that was taken.
func (h *history) handed(c *chunk.Chunk) {
	if c.Kind != chunk.Data {
		return
	}
	records := int64(len(c.Borders))
	if c.Borders == nil {
		records = int64(bytes.Count(c.Body, []byte{'\n'}))
		if n := len(c.Body); n > 0 && c.Body[n-1] != '\n' && c.Encoding == "" {
			records++
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bytes += int64(len(c.Body))
	h.records += records
}

// settle counts bytes that became settled.
func (h *history) settle(n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settled += n
}

// spooled says that of all that was handed over, so much is not settled yet.
func (h *history) spooled(lag int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settled = max(h.settled, h.bytes-lag)
}

func (h *history) totals() (inBytes, inRecords int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bytes, h.records
}

// sample notes the totals; lag is what is in the sources and not settled.
func (h *history) sample(now time.Time, lag int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.samples) == maxSamples {
		kept := h.samples[:0]
		for i, s := range h.samples {
			if i%2 == 0 || i >= maxSamples/2 {
				kept = append(kept, s)
			}
		}
		h.samples = kept
	}
	h.samples = append(h.samples, sample{now, h.settled + lag, h.bytes, h.records})
}

// age is how long the oldest of lag unsettled bytes has been known at most,
// counted from the start at the earliest.
func (h *history) age(now time.Time, lag int64) time.Duration {
	if lag <= 0 {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.samples, func(s sample) bool { return s.seen > h.settled })
	if i < 0 {
		i = len(h.samples)
	}
	return max(0, now.Sub(h.samples[max(0, i-1)].at))
}

// Rates are means per second.
type Rates struct {
	One     float64 `json:"1m"`
	Five    float64 `json:"5m"`
	Fifteen float64 `json:"15m"`
}

// rates returns the means over the last minutes, or since the start where that is
// later.
func (h *history) rates(now time.Time) (inBytes, inRecords Rates) {
	h.mu.Lock()
	defer h.mu.Unlock()
	over := func(d time.Duration) (float64, float64) {
		from := now.Add(-d)
		i := sort.Search(len(h.samples), func(i int) bool { return h.samples[i].at.After(from) })
		s := h.samples[max(0, i-1)]
		seconds := max(now.Sub(s.at), time.Second).Seconds()
		return float64(h.bytes-s.bytes) / seconds, float64(h.records-s.records) / seconds
	}
	inBytes.One, inRecords.One = over(time.Minute)
	inBytes.Five, inRecords.Five = over(5 * time.Minute)
	inBytes.Fifteen, inRecords.Fifteen = over(15 * time.Minute)
	return inBytes, inRecords
}
