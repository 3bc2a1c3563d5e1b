package call

import "slices"

// Provider is a source system. Its number is part of stored and exchanged
// forms: a new provider takes the next one.
type Provider uint8

// The providers. Sonetel's call events are Xelion's.
const (
	NoProvider Provider = iota
	Opentact
	Stringee
	Sonetel
	Bandwidth
)

// providers has a row for each provider. docs/providers.md says what else a new
// one needs.
var providers = [...]struct {
	name    string   // in lower case, as records and headers have it
	aliases []string // further names that headers and configurations may use
	Traits
}{
	NoProvider: {},
	Opentact:   {name: "opentact"},
	Stringee:   {name: "stringee", Traits: Traits{OneCallID: true}},
	Sonetel:    {name: "sonetel", aliases: []string{"xelion"}, Traits: Traits{HangsUpTwice: true}},
	Bandwidth:  {name: "bandwidth"},
}

// Traits are what more than one package must know of how a provider reports.
type Traits struct {
	// OneCallID: one call id stands for the whole conversation, through every
	// agent and transfer. The callee of a ringing, answered or ended channel is
	// the agent whom that event is about.
	OneCallID bool
	// HangsUpTwice: the consultation of an attended transfer hangs up twice, the
	// second time in other words. Other legs hang up once.
	HangsUpTwice bool
}

// Providers lists all of them, in the order of their numbers.
func Providers() []Provider {
	all := make([]Provider, len(providers)-1)
	for i := range all {
		all[i] = Provider(i + 1)
	}
	return all
}

// ProviderNames lists their names in the same order.
func ProviderNames() []string {
	var names []string
	for _, p := range Providers() {
		names = append(names, p.String())
	}
	return names
}

// ParseProvider reads a provider's name or alias, in lower case.
func ParseProvider(s string) (Provider, bool) {
	for i := range providers[1:] {
		if p := &providers[i+1]; s == p.name || slices.Contains(p.aliases, s) {
			return Provider(i + 1), true
		}
	}
	return NoProvider, false
}

// String is the name used in records; empty for NoProvider.
func (p Provider) String() string { return providers[p].name }

// Aliases are further names that ParseProvider reads.
func (p Provider) Aliases() []string { return providers[p].aliases }

// Traits are those of the provider; none of NoProvider's.
func (p Provider) Traits() Traits { return providers[p].Traits }
