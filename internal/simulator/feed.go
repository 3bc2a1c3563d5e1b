package simulator

import (
	"bytes"
	"slices"
)

// provider draws calls and writes the events that it would send about them.
// Everything that a row names is in the provider's own file.
type provider struct {
	name  string
	alias string // a further name, by which some producers call it; empty for none
	draw  func(f *feed, start int64)
	noise []noiseKind // what else comes on its feed
	// blanks are members that a relay writes as "" where the provider has none.
	blanks []string
	// slips, at least one, spoil its values; a value that has none of their words
	// is spoilt in another way.
	slips []slip
}

// providers has the row of each provider.
var providers = [...]*provider{&opentact, &stringee, &sonetel, &bandwidth}

// ProviderNames are the names of all providers.
func ProviderNames() (names []string) {
	for _, p := range providers {
		names = append(names, p.name)
	}
	return names
}

// providerNamed is nil where there is none of the name, or the alias.
func providerNamed(name string) *provider {
	for _, p := range providers {
		if name != "" && (name == p.name || name == p.alias) {
			return p
		}
	}
	return nil
}

// feed is where one call is drawn and told.
type feed struct {
	draw
	*call
	tenant    *tenant
	transfers float64
	scratch   []byte   // the message being written
	blanks    []string // members that are written as "" where there are none
	// afterHeadless sets what can be told of a start that was not, if anything.
	afterHeadless func()
}

// addLeg gives the call a leg.
func (f *feed) addLeg(l *leg) *leg {
	f.legs = append(f.legs, l)
	return l
}

// object starts a message's value.
func (f *feed) object() []byte { return append(f.scratch[:0], '{') }

// say adds a message with the finished value b. The caller fills in the rest.
func (f *feed) say(m message, b []byte) {
	m.value = f.filled(b)
	f.scratch = b
	f.messages = append(f.messages, m)
}

// relayedShare is the share of calls that come through a relay that writes "" for what
// the provider left out.
const relayedShare = 0.03

// filled is a copy of the value b, with its blanks.
func (f *feed) filled(b []byte) []byte {
	v := bytes.Clone(b)
	for _, blank := range f.blanks {
		if !bytes.Contains(v, []byte(`"`+blank+`":`)) {
			v = append(str(v[:len(v)-1], blank, ""), '}')
		}
	}
	return v
}

// inOrder puts the messages into the order in which they are sent.
func (f *feed) inOrder() {
	slices.SortStableFunc(f.messages, func(a, b message) int { return int(a.sent - b.sent) })
}

// Shares of calls whose feed is imperfect in a way that the truth knows exactly,
// unlike a loss: the provider goes silent in the middle, or was first heard after
// the call had begun.
const (
	silentShare   = 0.01
	headlessShare = 0.01
)

// imperfect makes some feeds silent from an instant on, some headless.
func (f *feed) imperfect() {
	f.inOrder()
	switch {
	case f.chance(silentShare):
		first, last := f.messages[0].at, f.messages[0].at
		for i := range f.messages {
			last = max(last, f.messages[i].at)
		}
		f.silence(first + f.Int64N(max(last-first, 1)))
	case f.chance(headlessShare):
		f.headless()
	}
}

// headless is the story of a call that had begun before anybody listened: what
// sets up its first leg is never told.
func (f *feed) headless() {
	first := f.legs[0]
	f.messages = slices.DeleteFunc(f.messages, func(m message) bool { return m.leg == first && m.kind == tellsStart })
	f.forget()
	if f.afterHeadless != nil {
		f.afterHeadless()
	}
}

// weighted picks an index by weight.
func (d draw) weighted(weights ...float64) int {
	total := 0.0
	for _, w := range weights {
		total += w
	}
	at := d.Float64() * total
	for i, w := range weights {
		if at -= w; at < 0 {
			return i
		}
	}
	return len(weights) - 1
}
