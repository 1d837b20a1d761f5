package pods

import "fmt"

// dump shows what the adaptor knows, for a test that has failed.
func (r *rig) dump() string {
	out := ""
	r.a.mu.Lock()
	defer r.a.mu.Unlock()
	if r.a.run == nil {
		return "not running"
	}
	for in := range r.a.run.live {
		out += fmt.Sprintf("%s id %s off %d sent %d busy %t queued %t again %t dirty %t heap %d absent %t ended %t decided %t listing %q\n",
			in.key(), in.id, in.off, in.sent, in.busy, in.queued, in.again, in.dirty.Load(), in.heapAt, in.absent, in.ended, in.decided, in.seen.names)
		for _, p := range in.parts {
			out += fmt.Sprintf("   [%d,%d) from %d gone %t %s: name %q gz %t open %t size %d ino %d head %d\n", p.Base, p.Len, p.From, p.Gone, p.file.id.Path, p.file.name, p.file.gz, p.file.isOpen(), p.file.size, p.file.id.Ino, p.file.id.HeadLen)
		}
		for _, f := range in.next {
			out += fmt.Sprintf("   next %s: name %q gz %t open %t size %d ino %d\n", f.id.Path, f.name, f.gz, f.isOpen(), f.size, f.id.Ino)
		}
	}
	return out
}
