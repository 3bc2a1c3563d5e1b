package digest

import "testing"

// Digests are stored, so they may not change from one build to the next.
func TestDigestsAreStable(t *testing.T) {
	for text, want := range map[string]Digest{
		"":                   0x832ff0d450935050,
		"flow-1":             0xc6482838fb12b250,
		"12345678":           0x7676adbc4f88e2a2,
		"a text of 18 bytes": 0x2b081d633b3dff66,
	} {
		if got := OfText(text); got != want {
			t.Errorf("%q: %#x, want %#x", text, uint64(got), uint64(want))
		}
	}
}

// Where one text ends and the next begins is part of the digest.
func TestTextsDoNotRunTogether(t *testing.T) {
	var a, b Digest
	a.Text("ab")
	a.Text("c")
	b.Text("a")
	b.Text("bc")
	if a == b {
		t.Error("ab and c are a and bc")
	}
}
