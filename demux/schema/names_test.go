package schema

import (
	"strings"
	"testing"
)

func TestNamesOfOtherThingsAreNoColumns(t *testing.T) {
	for _, name := range []string{
		"", "ts_hour", "TS_HOUR", "_file", "_Pos", "tags.key", "Tags.Value", "attributes.key_value.value", "_metadata",
		"a\x00", "a\nb", "\xff", "a\u200b", "\ufffe", "\u0378", strings.Repeat("a", 257),
	} {
		if Fit(name) {
			t.Errorf("%q is fit", name)
		}
	}
	for _, name := range []string{"a", "tags.other", "key", "value", "element", "a.b", " ", "größe", "名前", "مفتاح", "a\"b`c", strings.Repeat("a", 256), "😀"} {
		if !Fit(name) {
			t.Errorf("%q is not fit", name)
		}
	}
}

func TestNamesThatEnginesTakeForOneAreFoldedAlike(t *testing.T) {
	for _, same := range [][2]string{{"A", "a"}, {"ΑΣ", "ας"}, {"\u212a", "k"}, {"ſ", "S"}, {"Größe", "gRÖßE"}} {
		if Fold(same[0]) != Fold(same[1]) {
			t.Errorf("%q and %q are folded to %q and %q", same[0], same[1], Fold(same[0]), Fold(same[1]))
		}
	}
}
