package pods

import "fmt"

// dump shows what the adaptor knows, for a test that has failed.
func (r *rig) dump() string {
	out := ""
	last := r.a.run.Load()
	if last == nil {
		return "never run"
	}
	for t := range last.live.all {
		in := t.in
		out += fmt.Sprintf("%s id %s off %d sent %d busy %t queued %t dirty %t absent %t ended %t decided %t listing %q\n",
			in.key(), in.out.ID(), in.out.Off(), in.out.Sent(), t.Busy(), t.Queued(toRead), in.mail.dirty.Load(), in.folder.absent, in.out.Ended(), in.choice.made, in.mail.seen.names)
		for _, p := range in.parts {
			out += fmt.Sprintf("   [%d,%d) from %d gone %t %s: name %q gz %t open %t size %d ino %d head %d\n", p.Base, p.Len, p.From, p.Gone, p.file.id.Path, p.file.name, p.file.gz, p.file.isOpen(), p.file.size, p.file.id.Ino, p.file.id.HeadLen)
		}
		for _, f := range in.next {
			out += fmt.Sprintf("   next %s: name %q gz %t open %t size %d ino %d\n", f.id.Path, f.name, f.gz, f.isOpen(), f.size, f.id.Ino)
		}
	}
	return out
}
