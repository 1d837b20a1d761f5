package parse

import "testing"

func FuzzJournald(f *testing.F) {
	fuzz(f, "journald", `{"MESSAGE":[1,256],"_PID":"1","PRIORITY":7,"__REALTIME_TIMESTAMP":-1}`, `{"MESSAGE":[ ],"_HOSTNAME":[104],"__CUT":{}}`)
}

func TestJournaldIsTheParserOfItsType(t *testing.T) {
	if got := DefaultFor("journald"); got != "journald" {
		t.Errorf("the parser of type journald is %s, want journald", got)
	}
}
