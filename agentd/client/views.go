package client

import (
	"encoding/json"
	"time"
)

// Adaptor is what an agent says of an adaptor. Offsets and sizes are bytes.
type Adaptor struct {
	Name       string     `json:"name"`
	Kind       string     `json:"kind"`
	Type       string     `json:"type"`
	State      string     `json:"state"` // one of States
	Delivery   string     `json:"delivery"`
	Persona    string     `json:"persona"`
	Origin     string     `json:"origin"` // "config" or "rest"
	Generation int64      `json:"generation"`
	Position   []Position `json:"position"`
	LagBytes   int64      `json:"lag_bytes"`
	LagSeconds float64    `json:"lag_seconds"`
	Rate       float64    `json:"rate"` // bytes a second, of the last some ten seconds
	Rates      struct {
		Bytes   Rates `json:"bytes"`
		Records Rates `json:"records"`
	} `json:"rates"`
	Dropped struct {
		Count
		Reasons map[string]Count `json:"reasons"`
	} `json:"dropped"`
	Lost        Lost            `json:"lost"`
	LastError   string          `json:"last_error"`
	LastErrorAt *time.Time      `json:"last_error_at"`
	Skipped     []Skipped       `json:"skipped"`
	Entry       json.RawMessage `json:"entry,omitempty"`
}

// States are those that an adaptor may be in.
func States() []string { return []string{"running", "waiting", "draining", "failed", "stopped"} }

// Rates are means a second.
type Rates struct {
	OneMinute      float64 `json:"1m"`
	FiveMinutes    float64 `json:"5m"`
	FifteenMinutes float64 `json:"15m"`
}

// Lost is what an adaptor's sources destroyed before it was read or secured,
// since the agent's start.
type Lost struct {
	Bytes  int64       `json:"bytes"`
	Ranges []LostRange `json:"ranges"` // the newest, oldest first
}

// LostRange is one range of a stream that is lost.
type LostRange struct {
	Stream string    `json:"stream"`
	Path   string    `json:"path"`
	First  int64     `json:"first"`
	Last   int64     `json:"last"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Count is a number of bytes and records.
type Count struct {
	Bytes   int64 `json:"bytes"`
	Records int64 `json:"records"`
}

// Position is how far one source is.
type Position struct {
	Path    string `json:"path"`
	Stream  string `json:"stream"`
	Read    int64  `json:"read"`
	Settled int64  `json:"settled"`
	Size    int64  `json:"size"`
}

// Skipped is something that matches and is not read.
type Skipped struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Rewind says which streams of an adaptor are read again, and from where. One
// of Stream, Path and All is set.
type Rewind struct {
	Stream string `json:"stream,omitempty"`
	Path   string `json:"path,omitempty"`
	All    bool   `json:"all,omitempty"`
	Offset *int64 `json:"offset,omitempty"` // not given: to where each stream begins
}

// Rewound is what a rewind did.
type Rewound struct {
	Adaptor string `json:"adaptor"`
	Rewound []struct {
		Stream string `json:"stream"`
		Path   string `json:"path"`
		From   int64  `json:"from"`
		To     int64  `json:"to"`
	} `json:"rewound"`
	Left []struct {
		Stream string `json:"stream"`
		Path   string `json:"path"`
		Reason string `json:"reason"`
	} `json:"left"`
}

// Streams is a page of streams.
type Streams struct {
	Streams []Stream `json:"streams"`
	Total   int      `json:"total"` // also beyond the page
}

// Stream is what an agent knows of one stream.
type Stream struct {
	Adaptor string `json:"adaptor"`
	Stream  string `json:"stream"`
	Source  string `json:"source"`
	Begin   int64  `json:"begin"`
	Read    int64  `json:"read"`
	Settled int64  `json:"settled"`
	Sent    int64  `json:"sent"`
	Size    int64  `json:"size"`
	Ended   bool   `json:"ended"`
	Live    bool   `json:"live"`
}

// Switch is a switch. What it matches is in the keys of its entry: Rest.
type Switch struct {
	Name           string `json:"name"`
	Origin         string `json:"origin"` // "config" or "rest"
	DroppedBytes   int64  `json:"dropped_bytes"`
	DroppedRecords int64  `json:"dropped_records"`
	// Rest are the keys of its entry.
	Rest map[string]any `json:"-"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Switch) UnmarshalJSON(data []byte) error {
	type plain Switch
	if err := json.Unmarshal(data, (*plain)(s)); err != nil {
		return err
	}
	if err := json.Unmarshal(data, &s.Rest); err != nil {
		return err
	}
	for _, own := range []string{"name", "origin", "dropped_bytes", "dropped_records"} {
		delete(s.Rest, own)
	}
	return nil
}

// Config is the config that an agent has applied.
type Config struct {
	Generation  int64           `json:"generation"`
	Hash        string          `json:"hash"`
	AppliedAt   time.Time       `json:"applied_at"`
	Source      string          `json:"source"`
	Reloadable  bool            `json:"reloadable"`
	Changed     *Changed        `json:"changed"` // of a reload alone
	LastRefused *RefusedConfig  `json:"last_refused"`
	Effective   json.RawMessage `json:"effective"`
}

// Changed is what a reload changed.
type Changed struct {
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
	Changed []string `json:"changed"`
	Applied []string `json:"applied"`
}

// RefusedConfig is a config that was not applied.
type RefusedConfig struct {
	At       time.Time `json:"at"`
	Hash     string    `json:"hash"`
	Error    string    `json:"error"`
	Problems []string  `json:"problems"`
}

// Drain is what is left on its way.
type Drain struct {
	Draining      bool    `json:"draining"`
	Settled       bool    `json:"settled"`
	WaitedSeconds float64 `json:"waited_seconds"`
	LeftBytes     int64   `json:"left_bytes"`
	UnreadBytes   int64   `json:"unread_bytes"`
	Adaptors      []struct {
		Name        string `json:"name"`
		LeftBytes   int64  `json:"left_bytes"`
		UnreadBytes int64  `json:"unread_bytes"`
	} `json:"adaptors"`
}
