package call

import (
	"errors"
	"testing"

	"callstitch/processor/codec"
)

// A kind of party that this program has no word for is damage, not a panic where the
// party is told.
func TestAPartyOfNoKind(t *testing.T) {
	for kind := range len(partyKindNames) + 2 {
		form := codec.Append(nil, &Party{Raw: "15550100001", Kind: PartyKind(kind)})
		var p Party
		err := codec.Read(form, &p)
		if known := kind < len(partyKindNames); known != (err == nil) || !known && !errors.Is(err, codec.ErrCorrupt) {
			t.Errorf("kind %d of %d: %v", kind, len(partyKindNames), err)
		}
	}
}

// What is absent is absent also where something else was before.
func TestAnAbsentInstantReplacesAnother(t *testing.T) {
	i := Instant{At: 5, Src: EvidenceReported, Precision: 1}
	if err := codec.Read(codec.Append(nil, &Instant{}), &i); err != nil || i != (Instant{}) {
		t.Errorf("read %+v: %v", i, err)
	}
}
