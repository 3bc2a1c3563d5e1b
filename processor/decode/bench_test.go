package decode

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"callstitch/processor/call"
)

// BenchmarkDecode measures one event of each provider; the Opentact one is the
// largest message of its documentation.
func BenchmarkDecode(b *testing.B) {
	eachProvider(b, func(b *testing.B, provider call.Provider, raw []byte) {
		d := New(Settings{Provider: provider, Tenant: "acme"})
		in := Input{Value: raw, Timestamp: 1_708_447_300_000}
		for b.Loop() {
			if len(d.Decode(in).Events) != 1 {
				b.Fatal("the event was not decoded")
			}
		}
	})
}

// BenchmarkParse measures the pass over their bytes alone.
func BenchmarkParse(b *testing.B) {
	eachProvider(b, func(b *testing.B, _ call.Provider, raw []byte) {
		var d document
		for b.Loop() {
			if d.parse(raw) != nil {
				b.Fatal("the event was not read")
			}
		}
	})
}

func eachProvider(b *testing.B, measure func(b *testing.B, provider call.Provider, raw []byte)) {
	for provider, file := range map[call.Provider]string{
		call.Opentact:  "opentact/hangup.json",
		call.Stringee:  "stringee/ended.json",
		call.Sonetel:   "sonetel/hungup.json",
		call.Bandwidth: "bandwidth/disconnect.json",
	} {
		raw, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(file)))
		if err != nil {
			b.Fatal(err)
		}
		if err := (*jsontext.Value)(&raw).Compact(); err != nil {
			b.Fatal(err)
		}
		b.Run("provider="+provider.String(), func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			measure(b, provider, raw)
		})
	}
}
