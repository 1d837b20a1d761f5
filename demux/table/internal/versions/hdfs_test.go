package versions

import (
	"testing"

	"github.com/akupara/akupara/store/open"
	"github.com/akupara/akupara/store/storetest"
)

func TestEachRunIsCommittedOnceThroughPausesAndKillsOnHDFS(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a cluster")
	}
	fs, err := open.Open(storetest.SharedCluster(t), open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	eachRunOnce(t, fs, 4, 4)
}
