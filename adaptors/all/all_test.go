package all

import (
	"testing"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/config"
)

// The smallest config that each kind takes.
var smallest = map[string]string{
	"command":   "{command: [df, -Pk], every: 60s}",
	"generate":  "{}",
	"heartbeat": "{}",
	"http_poll": "{urls: ['http://127.0.0.1:9100/metrics']}",
	"jolokia":   "{urls: ['http://127.0.0.1:8778/jolokia/'], mbeans: [{mbean: 'java.lang:type=Memory'}]}",
	"journald":  "{}",
	"metrics":   "{}",
	"spool_dir": "{folders: [/srv/drops]}",
	"syslog":    "{listen: ['udp://127.0.0.1:0']}",
	"pods":      "{}",
	"process":   "{}",
	"tail":      "{paths: [/var/log/syslog]}",
}

func TestEachKindMakesAnAdaptorThatIsWhatItSays(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Kinds() {
		if seen[k.Name] || k.Summary == "" {
			t.Errorf("kind %q is there twice or has no summary", k.Name)
		}
		seen[k.Name] = true
		text, known := smallest[k.Name]
		if !known {
			t.Errorf("kind %q: give it a config in this test", k.Name)
			continue
		}
		n, problems := config.Parse("test", []byte(text))
		cfg := k.NewConfig()
		if err := append(problems, config.Decode(n, cfg)...).Err(); err != nil {
			t.Errorf("kind %s: %v", k.Name, err)
			continue
		}
		a, err := k.New(cfg)
		if err != nil {
			t.Errorf("kind %s: %v", k.Name, err)
			continue
		}
		if _, replays := a.(adaptors.Replayer); replays != k.Replayable {
			t.Errorf("kind %s says replayable: %t, its adaptor is: %t", k.Name, k.Replayable, replays)
		}
	}
}
