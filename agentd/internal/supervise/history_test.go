package supervise

import (
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
)

func TestLagIsTheAgeOfTheOldestUnsettledByte(t *testing.T) {
	start := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	h := newHistory(start)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	age := func(seconds int, lag int64, want int) {
		t.Helper()
		if got := h.age(at(seconds), lag); got != time.Duration(want)*time.Second {
			t.Errorf("at %d s with %d bytes left: %v, want %d s", seconds, lag, got, want)
		}
	}
	age(3, 0, 0)
	age(3, 10, 3) // since the start at most
	h.sample(at(5), 10)
	h.sample(at(10), 10)
	h.sample(at(15), 30) // 20 bytes came between 10 and 15
	age(20, 30, 20)
	h.settle(9)
	age(20, 21, 20) // one of the first 10 is left
	h.settle(1)
	age(20, 20, 10)
	h.settle(20)
	age(20, 0, 0)
	h.sample(at(20), 0)
	h.sample(at(25), 0)
	age(26, 5, 1) // not sampled yet: since the last sample at most
}

func TestAHistoryIsBoundedAndKeepsItsRates(t *testing.T) {
	start := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	h := newHistory(start)
	c := chunk.Chunk{Body: []byte(strings.Repeat("0123456789abcde\n", 50))}
	now := start
	for range 24 * 3600 / 5 { // a day, 800 bytes and 50 records every 5 s
		h.handed(&c)
		now = now.Add(sampleEvery)
		h.sample(now, 0)
	}
	if len(h.samples) > maxSamples || !h.samples[0].at.Equal(start) {
		t.Errorf("%d samples from %v on, want %d at most, from the start on", len(h.samples), h.samples[0].at, maxSamples)
	}
	inBytes, inRecords := h.rates(now)
	for name, got := range map[string][2]float64{"1m": {inBytes.One, inRecords.One}, "5m": {inBytes.Five, inRecords.Five}, "15m": {inBytes.Fifteen, inRecords.Fifteen}} {
		if got[0] < 155 || got[0] > 175 || got[1] < 9.7 || got[1] > 11 {
			t.Errorf("over %s: %v, want 160 bytes and 10 records a second", name, got)
		}
	}
	// A quiet quarter of an hour.
	for range 15 * 60 / 5 {
		now = now.Add(sampleEvery)
		h.sample(now, 0)
	}
	if b, _ := h.rates(now); b.One != 0 || b.Five != 0 || b.Fifteen > 2 {
		t.Errorf("after a quiet quarter of an hour: %+v, want none", b)
	}
}

func TestRecordsAreCountedByBordersOrLines(t *testing.T) {
	h := newHistory(time.Now())
	for _, c := range []chunk.Chunk{
		{Body: []byte("a\nb\n")},
		{Body: []byte("a\nb")},
		{Body: []byte("a\nb\nc\n"), Borders: []int64{4, 6}},
		{Kind: chunk.Lost, Last: 10},
	} {
		h.handed(&c)
	}
	if b, r := h.totals(); b != 13 || r != 6 {
		t.Errorf("%d bytes and %d records, want 13 and 6", b, r)
	}
}
