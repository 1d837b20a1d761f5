package table

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	iceberg "github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	ice "github.com/apache/iceberg-go/table"
)

// kindOf returns what a file of metadata/ is by its name, as iceberg-go and
// Rebuild give it.
func kindOf(p string) Kind {
	if strings.HasPrefix(path.Base(p), "snap-") {
		return KindManifestList
	}
	return KindManifest
}

// manifestsOf reads a snapshot's manifest list. Bytes that are none are
// ErrDamaged.
func manifestsOf(io *tableIO, s *ice.Snapshot) (out []iceberg.ManifestFile, err error) {
	p, err := io.rel(s.ManifestList)
	if err != nil {
		return nil, damaged(KindMetadata, io.metadata, "names a manifest list outside of the table: %s", s.ManifestList)
	}
	b, err := io.read(p)
	if err != nil {
		return nil, err
	}
	// Without checksums, which older versions did not write, anything may come.
	defer func() {
		if r := recover(); r != nil {
			err = damaged(KindManifestList, p, "can't be decoded: %v", r)
		}
	}()
	if out, err = iceberg.ReadManifestList(bytes.NewReader(b)); err != nil {
		return nil, damaged(KindManifestList, p, "can't be decoded: %v", err)
	}
	for _, m := range out {
		if _, err := io.rel(m.FilePath()); err != nil {
			return nil, damaged(KindManifestList, p, "names a manifest outside of the table: %s", m.FilePath())
		}
	}
	return out, nil
}

// eachEntry calls f with the entries of a manifest that are not deleted. Bytes
// that are no manifest, or another one, are ErrDamaged.
func eachEntry(io *tableIO, m iceberg.ManifestFile, f func(iceberg.ManifestEntry) error) (err error) {
	p, err := io.rel(m.FilePath())
	if err != nil {
		return err
	}
	b, err := io.read(p)
	if err != nil {
		return err
	}
	if int64(len(b)) != m.Length() {
		return damaged(KindManifest, p, "has %d bytes, should have %d", len(b), m.Length())
	}
	decoding := true
	defer func() {
		if r := recover(); r != nil {
			if !decoding {
				panic(r)
			}
			err = damaged(KindManifest, p, "can't be decoded: %v", r)
		}
	}()
	files := int64(0)
	for e, err := range m.Entries(oneFile{b, p}, true) {
		if err != nil {
			return damaged(KindManifest, p, "can't be decoded: %v", err)
		}
		decoding = false
		if err := f(e); err != nil {
			return err
		}
		decoding = true
		files++
	}
	if want := int64(m.AddedDataFiles()) + int64(m.ExistingDataFiles()); files != want {
		return damaged(KindManifest, p, "names %d data files, should name %d", files, want)
	}
	return nil
}

// oneFile is a file system of one file that was read already.
type oneFile struct {
	b []byte
	p string
}

func (f oneFile) Open(string) (iceio.File, error) { return newMemFile(f.p, f.b), nil }

func (f oneFile) Remove(name string) error {
	return fmt.Errorf("remove %s: it is only read", name)
}

// manifestSet returns the manifests of a snapshot by their URIs.
func manifestSet(io *tableIO, s *ice.Snapshot) (map[string]iceberg.ManifestFile, error) {
	ms, err := manifestsOf(io, s)
	if err != nil {
		return nil, err
	}
	out := make(map[string]iceberg.ManifestFile, len(ms))
	for _, m := range ms {
		out[m.FilePath()] = m
	}
	return out, nil
}
