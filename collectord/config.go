package collectord

import (
	"errors"
	"fmt"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// Config is the config's collector section. Start from DefaultConfig.
type Config struct {
	Listen string      `config:"listen"` // host:port
	Seal   SealConfig  `config:"seal"`
	Spool  SpoolConfig `config:"spool"`
	// MaxInFlight bounds the bodies that are in memory at one time. Requests
	// beyond it wait unread, which slows their senders down.
	MaxInFlight config.Size `config:"max_in_flight" min:"40MiB"`
	// MaxTypes bounds the data types that have an open segment at one time. What
	// comes of others is refused, theirs alone.
	MaxTypes int `config:"max_types" min:"1" max:"4096"`
	// Uploads is how many sink files are written at one time.
	Uploads int `config:"uploads" min:"1" max:"16"`
	// Drain is how long a stopping collector tries to upload what it has
	// sealed. The rest stays in the spool.
	Drain config.Duration `config:"drain" max:"10m"`
}

// SealConfig says when an open segment becomes a sink file: by whichever comes
// first. A clock looks, not traffic.
type SealConfig struct {
	Bytes config.Size     `config:"bytes" min:"1" max:"1GiB"`
	Age   config.Duration `config:"age" min:"10ms" max:"1d"`
	// Idle is how long nothing came. It ends bursts early; a source that
	// reports every 10 s does not get a sink file for each report.
	Idle config.Duration `config:"idle" min:"10ms" max:"1d"`
}

// SpoolConfig bounds what the spool takes of the local disk.
type SpoolConfig struct {
	Bytes    config.Size    `config:"bytes" min:"64MiB"`
	KeepFree config.Percent `config:"keep_free"` // of the whole disk
}

// DefaultConfig is what holds where the config says nothing.
func DefaultConfig() Config {
	return Config{
		Listen: "127.0.0.1:9770",
		Seal: SealConfig{
			Bytes: 128 << 20,
			Age:   config.Duration(60 * time.Second),
			Idle:  config.Duration(15 * time.Second),
		},
		Spool:       SpoolConfig{Bytes: 10 << 30, KeepFree: 5},
		MaxInFlight: 64 << 20,
		MaxTypes:    256,
		Uploads:     4,
		Drain:       config.Duration(10 * time.Second),
	}
}

// check holds the config against what the decoder's limits can't express, and
// against the limits themselves where no decoder was used.
func (c *Config) check() error {
	switch {
	case c.Listen == "":
		return errors.New("listen is missing; want host:port")
	case c.Seal.Bytes <= 0 || c.Seal.Age <= 0 || c.Seal.Idle <= 0:
		return errors.New("seal: bytes, age and idle must be above zero")
	case c.Spool.Bytes < chunk.MaxFrameLen:
		return fmt.Errorf("spool.bytes is %v; it must be at least %v, one batch", c.Spool.Bytes, config.Size(chunk.MaxFrameLen))
	case c.MaxInFlight < chunk.MaxFrameLen:
		return fmt.Errorf("max_in_flight is %v; it must be at least %v, one batch", c.MaxInFlight, config.Size(chunk.MaxFrameLen))
	case c.MaxTypes < 1 || c.Uploads < 1:
		return errors.New("max_types and uploads must be at least 1")
	}
	return nil
}

// Two bounds that the tags above rely on: the largest frame fits each budget.
var (
	_ [40<<20 - chunk.MaxFrameLen]struct{}
	_ [64<<20 - chunk.MaxFrameLen]struct{}
)
