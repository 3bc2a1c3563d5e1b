package decode

import (
	"testing"

	"callstitch/processor/call"
)

func TestAddress(t *testing.T) {
	for _, tt := range []struct {
		json    string
		certain certainty
		want    call.Party
	}{
		{`"+15550100123"`, never, call.Party{Raw: "+15550100123", E164: "+15550100123", Kind: call.PartyPSTN}},
		{`"15550100123"`, never, call.Party{Raw: "15550100123", Kind: call.PartyPSTN}},
		{`"15550100123"`, always, call.Party{Raw: "15550100123", E164: "+15550100123", Kind: call.PartyPSTN}},
		{`15550100123`, isNorthAmerican, call.Party{Raw: "15550100123", E164: "+15550100123", Kind: call.PartyPSTN}},
		{`1.5550100123e+10`, isNorthAmerican, call.Party{Raw: "1.5550100123e+10", E164: "+15550100123", Kind: call.PartyPSTN}},
		{`"15550100123.0"`, always, call.Party{Raw: "15550100123.0", E164: "+15550100123", Kind: call.PartyPSTN}},
		{`"1.5550100123E10"`, never, call.Party{Raw: "1.5550100123E10", Kind: call.PartyPSTN}},
		{`1.55501e+10`, always, call.Party{Raw: "1.55501e+10"}}, // the rest of its digits may be lost
		{`1e+10`, always, call.Party{Raw: "1e+10"}},
		{`-1.5550100123e+10`, always, call.Party{Raw: "-1.5550100123e+10", Kind: call.PartyUser}},
		{`1.5550100123e+999999999`, always, call.Party{Raw: "1.5550100123e+999999999", Kind: call.PartyUser}},
		{`"5550100123"`, isNorthAmerican, call.Party{Raw: "5550100123", Kind: call.PartyPSTN}},
		{`"84555010012"`, isNorthAmerican, call.Party{Raw: "84555010012", Kind: call.PartyPSTN}},
		{`"+1234567"`, always, call.Party{Raw: "+1234567"}},
		{`"+1234567890123456"`, always, call.Party{Raw: "+1234567890123456"}},
		{`"+05550100123"`, always, call.Party{Raw: "+05550100123", Kind: call.PartyPSTN}},
		{`"0015550100123"`, always, call.Party{Raw: "0015550100123", Kind: call.PartyPSTN}},
		{`"0015550100123"`, isNorthAmerican, call.Party{Raw: "0015550100123", Kind: call.PartyPSTN}},
		{`"05550100123"`, never, call.Party{Raw: "05550100123", Kind: call.PartyPSTN}},
		{`"+1 555 010 0123"`, never, call.Party{Raw: "+1 555 010 0123", Kind: call.PartyPSTN}},
		{`"+44 (0)20 7946 0123"`, never, call.Party{Raw: "+44 (0)20 7946 0123", Kind: call.PartyPSTN}},
		{`"(555) 010-0123"`, never, call.Party{Raw: "(555) 010-0123", Kind: call.PartyPSTN}},
		{`"+15550100123;ext=5"`, never, call.Party{Raw: "+15550100123;ext=5", Kind: call.PartyPSTN}},
		{`"15550100123x5"`, always, call.Party{Raw: "15550100123x5", Kind: call.PartyPSTN}},
		{`"15550100123 ext. 5"`, always, call.Party{Raw: "15550100123 ext. 5", Kind: call.PartyPSTN}},
		{`"15550100123,,5"`, always, call.Party{Raw: "15550100123,,5", Kind: call.PartyPSTN}},
		{`"tel:+1-555-010-0123;ext=5"`, never, call.Party{Raw: "tel:+1-555-010-0123;ext=5", Kind: call.PartyPSTN}},
		{`"tel:911"`, never, call.Party{Raw: "tel:911"}},
		{`"*67"`, never, call.Party{Raw: "*67"}},
		{`"#31#"`, never, call.Party{Raw: "#31#"}},
		{`"+911"`, always, call.Party{Raw: "+911"}},
		{`"+"`, always, call.Party{Raw: "+"}},
		{`"12345678 people"`, never, call.Party{Raw: "12345678 people", Kind: call.PartyUser}},
		{`"12345678-ab"`, never, call.Party{Raw: "12345678-ab", Kind: call.PartyUser}},
		{`"201"`, always, call.Party{Raw: "201"}},
		{`"sip:agent@example.com"`, never, call.Party{Raw: "sip:agent@example.com", Kind: call.PartySIP}},
		{`"SIPS:agent@example.com"`, never, call.Party{Raw: "SIPS:agent@example.com", Kind: call.PartySIP}},
		{`"sip:+15550100123@sip.example.com"`, always, call.Party{Raw: "sip:+15550100123@sip.example.com", Kind: call.PartySIP}},
		{`"sip:anonymous@anonymous.invalid"`, never, call.Party{Raw: "sip:anonymous@anonymous.invalid"}},
		{`"sip:@example.com"`, never, call.Party{Raw: "sip:@example.com"}},
		{`"user_example_com_1001"`, never, call.Party{Raw: "user_example_com_1001", Kind: call.PartyUser}},
		{`"Anonymous"`, never, call.Party{Raw: "Anonymous"}},
		{`"unknown"`, never, call.Party{Raw: "unknown"}},
		{`"+anonymous"`, never, call.Party{Raw: "+anonymous"}},
		{`"Restricted"`, never, call.Party{Raw: "Restricted"}},
		{`""`, always, call.Party{}},
		{`null`, always, call.Party{}},
		{`true`, always, call.Party{}},
		{`{"number":"15550100123"}`, always, call.Party{}},
	} {
		var doc document
		if rejected := doc.parse([]byte(tt.json)); rejected != nil {
			t.Fatal(rejected)
		}
		var d draft
		if got := d.address(doc.root(), tt.certain); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.json, got, tt.want)
		}
	}
}

func TestLinks(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                     false,
		"0":                                    false,
		"00000000-0000-0000-0000-000000000000": false,
		"Anonymous":                            false,
		"null":                                 false,
		"c7aa8c03-87d6-403d-8287-2211a1974fe3": true,
		"f-1":                                  true,
	} {
		if links(text) != want {
			t.Errorf("%q links: %v", text, !want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		text  string
		limit int
		want  string
	}{
		{"abc", 3, "abc"},
		{"abcd", 3, "abc"},
		{"aé", 2, "a"},
		{"aéb", 3, "aé"},
		{"日本", 5, "日"},
	} {
		if got := string(cut([]byte(tt.text), tt.limit)); got != tt.want {
			t.Errorf("%q to %d: %q", tt.text, tt.limit, got)
		}
	}
}
