package hdfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/storetest"
)

// The publication of sink files through connections that break at random, to
// NameNode and DataNodes, also between a rename and its reply.
func TestPublicationsSurviveConnectionsThatBreakAtRandom(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if again, err := strconv.ParseUint(os.Getenv("AKUPARA_SEED"), 10, 64); err == nil {
		seed = again
	}
	t.Logf("seed %d; AKUPARA_SEED sets it", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	s, p, nameNode, dataNodes := proxied(t)
	publications := 60
	if testing.Short() {
		publications = 10
	}
	end := time.Now().Add(time.Minute)
	attempts, faults := 0, 0
	for n := range publications {
		want := bytes.Repeat([]byte(fmt.Sprintf("%06d\n", n)), 1+rnd.IntN(300_000))
		final := fmt.Sprintf("raw/%d.avro", n)
		tmp := ""
		for try := 0; ; try++ {
			if time.Now().After(end) {
				t.Fatalf("%s: not published after %d tries", final, try)
			}
			attempts++
			if try < 3 && rnd.IntN(3) > 0 {
				faults++
				switch rnd.IntN(4) {
				case 0:
					p.BreakAfter(dataNodes[rnd.IntN(len(dataNodes))], 1+rnd.Int64N(3*mib))
				case 1:
					p.BreakAfter(nameNode, 1+rnd.Int64N(3000))
				case 2:
					p.LoseReply(nameNode, []string{"rename2", "create", "complete", "addBlock", "getFileInfo"}[rnd.IntN(5)])
				case 3:
					p.BreakOn(nameNode, []string{"rename2", "complete", "updateBlockForPipeline"}[rnd.IntN(3)])
				}
			} else {
				p.Pass(nameNode)
				each(dataNodes, p.Pass)
			}
			var done bool
			if done, tmp = publishOnce(t, s, tmp, final, try, want); done {
				break
			}
		}
	}
	p.Pass(nameNode)
	each(dataNodes, p.Pass)
	t.Logf("%d publications in %d attempts with %d faults", publications, attempts, faults)
	infos, err := s.List(t.Context(), "raw")
	if err != nil {
		t.Fatal(err)
	}
	published := 0
	for _, i := range infos {
		if store.IsSink(i.Path) {
			published++
		}
	}
	if published != publications {
		t.Errorf("%d files are published, want %d", published, publications)
	}
	for n := range publications {
		got := storetest.Get(t, s, fmt.Sprintf("raw/%d.avro", n))
		if line := []byte(fmt.Sprintf("%06d\n", n)); len(got)%7 != 0 || bytes.Count(got, line)*7 != len(got) {
			t.Errorf("file %d is damaged", n)
		}
	}
}

// publishOnce tries once, as a daemon would: tmp is a closed file whose rename
// had no certain outcome. It gives such a one back.
func publishOnce(t *testing.T, s store.FS, tmp, final string, try int, want []byte) (done bool, pending string) {
	if tmp != "" {
		info, err := s.Stat(t.Context(), final)
		switch {
		case err == nil:
			if info.Size != int64(len(want)) {
				t.Errorf("%s has %d bytes, want %d", final, info.Size, len(want))
			}
			return true, ""
		case !errors.Is(err, fs.ErrNotExist):
			return false, tmp
		}
	} else {
		tmp = fmt.Sprintf("raw/_%s.%d.tmp", final[4:], try)
		f, err := s.Create(t.Context(), tmp)
		if err != nil {
			return false, ""
		}
		for _, part := range slices.Collect(slices.Chunk(want, mib)) {
			if _, err := f.Write(part); err != nil {
				mustStayDead(t, f)
				return false, ""
			}
		}
		if err := f.Close(); err != nil {
			mustStayDead(t, f)
			return false, ""
		}
	}
	err := s.Rename(t.Context(), tmp, final)
	switch {
	case err == nil:
		if _, err := s.Stat(t.Context(), final); errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was renamed and is not there", final)
		}
		return true, ""
	case errors.Is(err, fs.ErrNotExist):
		if _, err := s.Stat(t.Context(), final); errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was closed and is at neither name", tmp)
		}
	}
	return false, tmp
}
