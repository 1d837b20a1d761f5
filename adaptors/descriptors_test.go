package adaptors

import "testing"

func TestAdaptorsShareOneBoundOfDescriptors(t *testing.T) {
	d := NewDescriptors(10)
	a, b := d.Join(), d.Join()
	a.Hold(10)
	if soft, hard := a.Excess(); soft != 0 || hard != 0 {
		t.Errorf("alone, 10 of 10: got an excess of %d and %d, want none", soft, hard)
	}
	b.Hold(3)
	select {
	case <-a.Short():
	default:
		t.Error("who has more than a fair part was not told that another is short")
	}
	if soft, hard := a.Excess(); soft != 3 || hard != 0 {
		t.Errorf("13 of 10, a fair part is 5: got an excess of %d and %d, want 3 and 0", soft, hard)
	}
	if soft, _ := b.Excess(); soft != 0 {
		t.Errorf("with less than a fair part: got an excess of %d, want none", soft)
	}
	a.Hold(20)
	if soft, hard := a.Excess(); soft != 13 || hard != 8 {
		t.Errorf("23 of 10: got an excess of %d and %d, want 13 and 8", soft, hard)
	}
	b.Leave()
	a.Hold(11)
	if soft, _ := a.Excess(); soft != 1 {
		t.Errorf("11 of 10, alone again: got an excess of %d, want 1", soft)
	}
	if NewDescriptors(0).most < 16 {
		t.Errorf("the process's own bound: got %d, want at least 16", NewDescriptors(0).most)
	}
}
