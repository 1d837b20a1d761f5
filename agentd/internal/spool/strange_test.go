package spool

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/akupara/akupara/chunk"
)

// What is in the place of a file and can't be read holds up nothing else.
func TestFoldersAmongTheSegmentsAreLeftAlone(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	s := open(t, cfg)
	add(t, s, Block, "one\n")
	s.Close()
	segs, err := filepath.Glob(filepath.Join(cfg.Dir, key.Adaptor, key.Type, "*.seg"))
	if err != nil || len(segs) != 1 {
		t.Fatalf("segments %v, %v; want one", segs, err)
	}
	folder := filepath.Join(filepath.Dir(segs[0]), segmentName("00000000000000000000000000000000000000", 0))
	dropped := filepath.Join(filepath.Dir(segs[0]), "00000000000000000000000000000000000001.dropped")
	for _, dir := range []string{folder, dropped} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, cfg)
	o := newOut()
	start(t, s, o)
	o.wait(t, "the record", func(all []chunk.Chunk) bool { return len(all) > 0 && string(all[0].Body) == "one\n" })
	for _, dir := range []string{folder, dropped} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("a folder was not left alone: %v", err)
		}
	}
}
