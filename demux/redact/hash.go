package redact

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"
	"net/netip"
	"os"
)

const (
	minKey = 16      // bytes
	maxKey = 4 << 10 // bytes

	hashBytes = 10 // of the HMAC; 2^40 values before two of them are likely to meet
	hashLen   = 1 + 2*hashBytes
)

// ReadKey reads the key of hashes from a file. Blanks around it don't count.
func ReadKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	case info.Mode().Perm()&0o007 != 0:
		return nil, fmt.Errorf("others may read %s, or write it (mode %#o): chmod o= %[1]s", path, info.Mode().Perm())
	case info.Size() > maxKey:
		return nil, fmt.Errorf("%s has %d bytes; at most %d are allowed", path, info.Size(), maxKey)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key := bytes.TrimSpace(text)
	if len(key) < minKey {
		return nil, fmt.Errorf("%s holds %d bytes; want at least %d, such as from: openssl rand -hex 32", path, len(key), minKey)
	}
	return key, nil
}

// maxKnown bounds the values whose hashes are remembered.
const maxKnown = 4096

// Hasher makes hashes of values by a key: the same of the same value always. It is not
// safe for concurrent use.
type Hasher struct {
	mac   hash.Hash
	sum   [sha256.Size]byte
	known map[string][hashLen]byte
}

// NewHasher makes the Hasher of a key.
func NewHasher(key []byte) *Hasher {
	return &Hasher{mac: hmac.New(sha256.New, key), known: map[string][hashLen]byte{}}
}

// Append appends the hash of a value: the first 80 bits of its HMAC-SHA256, behind a 0.
// Its digits are the letters from a to p, so that no part of it looks like a number.
func (h *Hasher) Append(dst, value []byte) []byte {
	if known, ok := h.known[string(value)]; ok {
		return append(dst, known[:]...)
	}
	h.mac.Reset()
	h.mac.Write(value)
	text := [hashLen]byte{'0'}
	for i, b := range h.mac.Sum(h.sum[:0])[:hashBytes] {
		text[1+2*i], text[2+2*i] = 'a'+b>>4, 'a'+b&15
	}
	if len(h.known) >= maxKnown {
		clear(h.known)
	}
	if len(value) <= 256 {
		h.known[string(value)] = text
	}
	return append(dst, text[:]...)
}

func isHash(s []byte) bool {
	if len(s) != hashLen || s[0] != '0' {
		return false
	}
	for _, c := range s[1:] {
		if c < 'a' || c > 'p' {
			return false
		}
	}
	return true
}

// canonical returns a value as it is hashed: in one form, however it is written.
func canonical(k Kind, s []byte) []byte {
	switch k {
	case Email:
		return bytes.ToLower(bytes.Replace(s, []byte("%40"), []byte("@"), 1))
	case Card:
		var digits []byte
		for _, c := range s {
			if isDigit(c) {
				digits = append(digits, c)
			}
		}
		return digits
	case IP:
		if a, err := netip.ParseAddr(string(s)); err == nil {
			return []byte(a.Unmap().String())
		}
	}
	return s
}
