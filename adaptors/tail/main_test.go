package tail

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets more tests run side by side than there are cores: they mostly
// wait.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f != nil {
		_ = f.Value.Set("12")
	}
	os.Exit(m.Run())
}
