package adaptors

import "testing"

func TestFileHasOneReaderForEachDataType(t *testing.T) {
	c := NewClaims()
	a, b := c.Join("a"), c.Join("b")
	claim := func(h *Claimant, dataType string, ino uint64, holder string, ok bool) {
		t.Helper()
		if got, is := h.Claim(dataType, 1, ino); got != holder || is != ok {
			t.Errorf("claim of %s on %s %d: got %q, %t, want %q, %t", h.name, dataType, ino, got, is, holder, ok)
		}
	}
	claim(a, "x", 7, "a", true)
	claim(a, "x", 7, "a", true)
	claim(b, "x", 7, "a", false)
	claim(b, "y", 7, "b", true)
	claim(b, "x", 8, "b", true)

	before := c.Version()
	b.Drop("x", 1, 7)
	if got := c.Version(); got != before {
		t.Errorf("version after a drop of what another claims: got %d, want %d", got, before)
	}
	claim(b, "x", 7, "a", false)
	a.Drop("x", 1, 7)
	if got := c.Version(); got == before {
		t.Errorf("version after a drop: got %d, want another than before", got)
	}
	claim(b, "x", 7, "b", true)

	before = c.Version()
	a.Leave()
	if got := c.Version(); got != before {
		t.Errorf("version after one left who had nothing: got %d, want %d", got, before)
	}
	b.Leave()
	if got := c.Version(); got == before {
		t.Errorf("version after one left: got %d, want another than before", got)
	}
	claim(a, "x", 7, "a", true)
	claim(a, "y", 7, "a", true)
	claim(a, "x", 8, "a", true)

	before = c.Version()
	c.Released()
	if got := c.Version(); got == before {
		t.Errorf("version after streams were released: got %d, want another than before", got)
	}
}

func TestWithoutClaimsNobodyIsRefused(t *testing.T) {
	var none *Claims
	a, b := none.Join("a"), none.Join("b")
	for _, h := range []*Claimant{a, b, a} {
		if holder, ok := h.Claim("x", 1, 7); holder != h.name || !ok {
			t.Errorf("claim of %s: got %q, %t, want its own", h.name, holder, ok)
		}
	}
	a.Drop("x", 1, 7)
	a.Leave()
	if got := none.Version(); got != 0 {
		t.Errorf("version: got %d, want 0", got)
	}
}
