package decode

import "callstitch/processor/call"

// provider is how the records of one provider are read. Everything that a row
// names is in the provider's own file.
type provider struct {
	// fits reports whether a record has the fields that only this provider sends.
	fits func(value) bool
	// read fills the draft in, or says as which of the ignored kinds the record
	// is to be ignored.
	read func(d *draft, root value) (ignored string)
	// fields are the names of the members that fits and read look for, wherever they stand:
	// all that is ever copied out of a record.
	fields []string
	// ignored are what else comes on the provider's feed: by the provider's word
	// for it, the name under which it is counted.
	ignored map[string]string
	// causes are the rows of a scheme that only this provider uses.
	causes []CauseRow
	// tag is the attribute whose value links legs where a source is configured
	// so; empty where there is none.
	tag string
	// onceContent is the content of an event that a leg sends once, where what is
	// read of it is not all that counts; nil where it is.
	onceContent func(value) uint64
}

// providers has the row of each provider.
var providers = [...]provider{
	call.Opentact:  opentact,
	call.Stringee:  stringee,
	call.Sonetel:   sonetel,
	call.Bandwidth: bandwidth,
}

// shape tells the provider by the fields that only it sends.
func shape(v value) (call.Provider, *Rejection) {
	found := call.NoProvider
	for i := range providers[1:] {
		p := call.Provider(i + 1)
		if !providers[p].fits(v) {
			continue
		}
		if found != call.NoProvider {
			return found, reject(call.RejectAmbiguousProvider,
				"the event looks like both "+found.String()+" and "+p.String()+": name its provider in a header or in the source's settings")
		}
		found = p
	}
	if found == call.NoProvider {
		return found, reject(call.RejectUnknownProvider,
			"the event looks like none of the providers': name its provider in a header or in the source's settings")
	}
	return found, nil
}
