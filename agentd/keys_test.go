package agentd_test

import (
	"os"
	"strings"
	"testing"

	"github.com/akupara/akupara/adaptors/all"
	"github.com/akupara/akupara/agentd"
	"github.com/akupara/akupara/config"
)

func TestExampleOfTheKeysIsRead(t *testing.T) {
	text, err := os.ReadFile("KEYS.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for rest := string(text); ; blocks++ {
		_, after, ok := strings.Cut(rest, "```yaml\n")
		if !ok {
			break
		}
		block, after, _ := strings.Cut(after, "```")
		n, problems := config.Parse("KEYS.md", []byte(block))
		cfg, more := agentd.Decode(n, all.Kinds())
		if err := append(problems, more...).Err(); err != nil {
			t.Error(err)
		}
		if len(cfg.Adaptors) == 0 || len(cfg.Personas) == 0 || len(cfg.Switches) == 0 {
			t.Error("the example names no adaptors, personas or switches")
		}
		rest = after
	}
	if blocks == 0 {
		t.Error("there is no example")
	}
}
