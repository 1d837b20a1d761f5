package tail

import (
	"os"
	"testing"
)

func (r *rig) with(watch string) *rig {
	r.cfg.Watch = watch
	return r
}

func TestGrowingFileIsReadOnce(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(3))
		r.start()
		r.arrived()
		for range 5 {
			r.write("a.log", r.lines(2))
			r.arrived()
		}
		r.exactly()
		r.noSkips()
		if got := len(r.rec.Streams()); got != 1 {
			t.Errorf("%d streams, want 1", got)
		}
	})
}

func TestRenamedFileIsReadToItsEnd(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(3))
		r.start()
		r.arrived()
		writer, err := os.OpenFile(r.path("a.log"), os.O_APPEND|os.O_WRONLY, 0)
		r.ok(err)
		defer writer.Close()
		r.rename("a.log", "a.log.1")
		r.write("a.log", r.lines(3))
		for range 3 { // the writer keeps its descriptor
			_, err = writer.WriteString(r.lines(2))
			r.ok(err)
			r.arrived()
		}
		r.exactly()
	})
}

func TestRenamedWhileStoppedIsReadOnce(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(3))
		r.start()
		r.arrived()
		r.stop()
		r.write("a.log", r.lines(2))
		r.rename("a.log", "a.log.1")
		r.write("a.log", r.lines(3))
		r.start()
		r.exactly()
	})
}

func TestRenamedTwiceInARow(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, running := range []bool{true, false} {
			r := newRig(t).with(watch)
			r.write("a.log", r.lines(3))
			r.start()
			r.arrived()
			if !running {
				r.stop()
			}
			for range 2 {
				if _, err := os.Stat(r.path("a.log.1")); err == nil {
					r.rename("a.log.1", "a.log.2")
				}
				r.rename("a.log", "a.log.1")
				r.write("a.log", r.lines(3))
			}
			if !running {
				r.start()
			}
			r.exactly()
			r.stop()
		}
	})
}

func TestRenamedOutOfThePatternWhileStoppedIsReadToItsEnd(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t, "*.log").with(watch)
		r.write("a.log", r.lines(3))
		r.start()
		r.arrived()
		r.kill()
		r.write("a.log", r.lines(2))
		r.rename("a.log", "a.log.1")
		r.write("a.log", r.lines(4))
		r.start()
		r.arrived()
		// Once more, with the file outside the pattern already.
		r.kill()
		r.write("a.log.1", r.lines(2))
		r.start()
		r.exactly()
	})
}

func TestRenamedOutOfThePatternIsReadToItsEnd(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t, "a.log").with(watch)
		r.write("a.log", r.lines(3))
		r.start()
		r.arrived()
		r.rename("a.log", "old")
		r.write("old", r.lines(2))
		r.write("a.log", r.lines(1))
		r.arrived()
		r.write("old", r.expect("no newline at the end"))
		r.exactly()
	})
}

func TestCopyTruncateWhileRunning(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(30))
		r.startHolding()
		r.arrived()
		for range 3 {
			for i := 2; i > 0; i-- {
				if _, err := os.Stat(r.path("a.log." + string(rune('0'+i)))); err == nil {
					r.rename("a.log."+string(rune('0'+i)), "a.log."+string(rune('1'+i)))
				}
			}
			r.copyTruncate("a.log", "a.log.1")
			r.write("a.log", r.lines(4))
			r.arrived()
		}
		r.exactly()
	})
}

func TestCopyTruncateWithUnreadBytesGoesOnInTheCopy(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(5))
		r.start()
		r.arrived()
		r.stop()
		r.write("a.log", r.lines(5))
		r.copyTruncate("a.log", "a.log-20260131")
		r.write("a.log", r.lines(1))
		r.start()
		r.exactly()
	})
}

func TestCopyTruncateRegrownPastTheOldOffsetWhileStopped(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(5))
		r.start()
		r.arrived()
		r.stop()
		r.write("a.log", r.lines(2))
		r.copyTruncate("a.log", "a.log.1")
		r.write("a.log", r.lines(50))
		r.start()
		r.exactly()
	})
}

func TestCopyTruncateWithAWriterThatDoesNotAppend(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, running := range []bool{true, false} {
			r := newRig(t).with(watch)
			writer, err := os.Create(r.path("a.log"))
			r.ok(err)
			_, err = writer.WriteString(r.lines(300))
			r.ok(err)
			r.startHolding()
			r.arrived()
			if !running {
				r.stop()
			}
			r.copyTruncate("a.log", "a.log.1")
			_, err = writer.WriteString(r.lines(2)) // behind a hole of NULs
			r.ok(err)
			if !running {
				r.start()
			}
			r.arrived()
			_, err = writer.WriteString(r.lines(2))
			r.ok(err)
			r.ok(writer.Close())
			r.exactly()
			r.stop()
		}
	})
}

func TestTruncatedToZeroStartsANewStream(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, running := range []bool{true, false} {
			r := newRig(t).with(watch)
			r.write("a.log", r.lines(10))
			r.start()
			r.arrived()
			if !running {
				r.stop()
			}
			r.ok(os.Truncate(r.path("a.log"), 0))
			r.write("a.log", r.lines(3))
			if !running {
				r.start()
			}
			r.arrived()
			r.write("a.log", r.lines(30))
			r.arrived()
			r.calm()
			if got := len(r.rec.Streams()); got != 2 {
				t.Errorf("%d streams, want 2", got)
			}
			r.stop()
		}
	})
}

func TestRewrittenWithTheSameSizeIsReadAgain(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.expect("first\nlines\n"))
		r.start()
		r.arrived()
		r.ok(os.WriteFile(r.path("a.log"), []byte(r.expect("other\nthing\n")), 0o644))
		r.arrived()
		r.calm()
	})
}

func TestDeletedAndMadeAgainUnderTheSameName(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, running := range []bool{true, false} {
			r := newRig(t).with(watch)
			r.write("a.log", r.lines(3))
			r.start()
			for range 4 {
				r.arrived()
				if !running {
					r.stop()
				}
				r.remove("a.log")
				r.write("a.log", r.lines(3))
				if !running {
					r.start()
				}
			}
			r.arrived()
			r.calm()
			r.stop()
		}
	})
}

func TestFilesWithTheSameFirstKilobyteAreToldApart(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, running := range []bool{true, false} {
			r := newRig(t).with(watch)
			head := ""
			for len(head) < 2000 {
				head += "the same header in every file\n"
			}
			if running {
				r.start()
			}
			for _, name := range []string{"a.log", "b.log", "c.log", "a.log.x"} {
				r.write(name, r.expect(head)+r.lines(2))
			}
			if !running {
				r.start()
			}
			r.arrived()
			r.stop()
			for _, name := range []string{"a.log", "b.log", "c.log", "a.log.x"} {
				r.write(name, r.lines(2))
			}
			r.rename("b.log", "d.log")
			r.rename("a.log", "b.log")
			r.start()
			r.exactly()
			r.stop()
		}
	})
}

func TestUnterminatedLastLineOfARotatedFileIsKept(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		for _, how := range []string{"renamed", "unlinked", "renamed while stopped"} {
			r := newRig(t).with(watch)
			r.write("a.log", r.lines(2))
			r.start()
			r.arrived()
			r.write("a.log", "no newline")
			r.calm() // not sent: the rest may follow
			r.expect("no newline")
			switch how {
			case "renamed":
				r.rename("a.log", "a.log.1")
			case "unlinked":
				r.remove("a.log")
			default:
				r.stop()
				r.rename("a.log", "a.log.1")
				r.start()
			}
			r.exactly()
			r.stop()
		}
	})
}

func TestPartialLineAtStopIsCompletedAfterStart(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(2)+"the first half, ")
		r.start()
		r.arrived()
		r.stop()
		r.write("a.log", "the second half\n")
		r.expect("the first half, the second half\n")
		r.start()
		r.exactly()
	})
}

func TestMovedFolderIsNotReadAgain(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.mkdir("x")
		r.write("x/a.log", r.lines(3))
		r.start()
		r.arrived()
		r.rename("x", "y")
		r.write("y/a.log", r.lines(3))
		r.exactly()
	})
}

func TestRestoredFileGoesOnInItsNewInode(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(100))
		r.start()
		r.arrived()
		r.stop()
		b, err := os.ReadFile(r.path("a.log"))
		r.ok(err)
		r.ok(os.WriteFile(r.path("tmp"), b, 0o644))
		r.rename("tmp", "a.log")
		r.write("a.log", r.lines(2))
		r.start()
		r.exactly()
	})
}

func TestHardLinksAreOneFile(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(3))
		r.ok(os.Link(r.path("a.log"), r.path("b.log")))
		r.start()
		r.arrived()
		r.remove("a.log")
		r.write("b.log", r.lines(3))
		r.exactly()
	})
}

func TestSymlinksAreFollowedOnce(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t, "in/**/*.log").with(watch)
		r.mkdir("in/sub")
		r.mkdir("out")
		r.write("out/a.log", r.lines(3))
		r.ok(os.Symlink(r.path("out/a.log"), r.path("in/a.log")))
		r.ok(os.Symlink(r.path("in"), r.path("in/sub/loop")))
		r.ok(os.Symlink("../../out", r.path("in/sub/out")))
		r.start()
		r.arrived()
		r.write("out/a.log", r.lines(3))
		r.arrived()
		r.write("out/b.log", r.lines(3))
		r.ok(os.Remove(r.path("in/a.log")))
		r.ok(os.Symlink(r.path("out/b.log"), r.path("in/a.log")))
		r.arrived()
		r.write("in/own.log", r.lines(3))
		r.arrived()
		r.ok(os.Symlink(r.path("in"), r.path("in/again"))) // another circle, while running
		r.write("in/own.log", r.lines(3))
		r.arrived()
		r.write("in/new.log", r.lines(3))
		r.exactly()
	})
}
