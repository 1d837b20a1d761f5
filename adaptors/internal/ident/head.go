package ident

// shorter are the lengths of the parts of a head that have fingerprints of their
// own: by them a file is known that was cut back to less than its head.
var shorter = [...]int{32, 64, 128, 256, 512}

// SetHead takes the first bytes of the file, at most MaxHead of which count.
func (id *Identity) SetHead(head []byte) {
	head = head[:min(len(head), MaxHead)]
	id.HeadLen, id.Head, id.Parts = len(head), Sum(head), nil
	for _, n := range shorter {
		if n < len(head) {
			id.Parts = append(id.Parts, Sum(head[:n]))
		}
	}
}

// Outgrown reports whether a head of n bytes is enough longer to be stored in
// place of the one that is.
func (id *Identity) Outgrown(n int) bool {
	n = min(n, MaxHead)
	for _, step := range shorter {
		if id.HeadLen < step && n >= step {
			return true
		}
	}
	return n > id.HeadLen && (n >= 2*id.HeadLen || n == MaxHead)
}

// Shared returns how many of the first bytes of a file, which starts with head,
// are known to be those that the file had: as many as one of the fingerprints
// covers.
func (id *Identity) Shared(head []byte) int {
	if id.SameHead(head) {
		return id.HeadLen
	}
	for i := min(len(id.Parts), len(shorter)) - 1; i >= 0; i-- {
		if n := shorter[i]; len(head) >= n && Sum(head[:n]) == id.Parts[i] {
			return n
		}
	}
	return 0
}
