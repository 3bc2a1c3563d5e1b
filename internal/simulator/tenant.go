package simulator

import (
	"fmt"
	"strconv"
)

const tenantStream = 3

// tenant is one customer, with its accounts at the providers.
type tenant struct {
	name      string
	account   string // Opentact account uuid
	sid       string // Stringee account
	project   int64  // Stringee project
	bandwidth string // Bandwidth account number
	app       string // Bandwidth application
	// alias marks a tenant whose producer calls providers by their aliases.
	alias bool
	// bare marks a tenant whose Stringee events have the documented shape,
	// without event ids.
	bare bool
	// old marks a tenant whose Opentact outbound calls come in the older of the
	// two shapes.
	old bool

	nextCall int64 // Sonetel call ids are counted per tenant
	nextFlow int64
}

func newTenants(d draw, n int) []tenant {
	tenants := make([]tenant, n)
	for i := range tenants {
		tenants[i] = tenant{
			name:      fmt.Sprintf("tenant-%02d", i+1),
			account:   d.uuid(),
			sid:       "AC" + d.hex(32),
			project:   d.between(1000, 9_999_999),
			bandwidth: strconv.FormatInt(d.between(5_000_000, 5_999_999), 10),
			app:       d.uuid(),
			alias:     i%3 == 1,
			bare:      i%4 == 3,
			old:       i%5 == 2,
		}
	}
	return tenants
}

// headers are a record's headers. A few records come without the provider's
// name, where the shape of the value tells it.
func (t *tenant) headers(d draw, p *provider, shape bool) []Header {
	h := []Header{{"tenant", []byte(t.name)}}
	if shape && d.chance(unnamedShare) {
		return h
	}
	word := p.name
	if t.alias && p.alias != "" {
		word = p.alias
	}
	return append(h, Header{"provider", []byte(word)})
}

// unnamedShare is how many records of a telling shape leave out the provider.
const unnamedShare = 1.0 / 16
