package ident

import "hash/crc64"

// Filled reports whether the stored head is that of a file that starts with head
// now and, when it was stored, ended within head, in zeros that are written over
// since. Only an older version took such zeros for the file's bytes.
func (id *Identity) Filled(head []byte) bool {
	if len(head) < id.HeadLen {
		return false
	}
	zeros := make([]byte, id.HeadLen)
	var sum uint64
	for n := range id.HeadLen - 1 {
		sum = crc64.Update(sum, table, head[n:n+1])
		if crc64.Update(sum, table, zeros[n+1:]) == id.Head {
			return true
		}
	}
	return false
}
