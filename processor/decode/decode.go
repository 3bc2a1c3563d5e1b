package decode

import (
	"crypto/sha256"
	"maps"
	"slices"
	"strconv"
	"strings"

	"callstitch/processor/call"
)

// Settings are what a source says about its records. Record headers override
// them.
type Settings struct {
	Provider  call.Provider // NoProvider: headers, else the shape decide
	Tenant    string        // empty: headers, else "default"
	Scope     string        // tells apart servers whose call ids may collide
	LinkByTag bool          // a tag of the customer's own links legs, where the provider has one
}

// Input is one raw record.
type Input struct {
	Value   []byte        // nil is a null value; events share no memory with it
	Headers []call.Header // provider, tenant and scope override Settings
	// Timestamp is the Kafka timestamp in epoch milliseconds. Where it is 0, as
	// in raw files, instants that only it tells are absent.
	Timestamp int64
	Source    call.Source
}

// Result is what became of a record: exactly one of its fields is set.
type Result struct {
	Events  []*call.Event
	Ignored string // what was ignored, one of IgnoredKinds
	Reject  *Rejection
}

// Rejection is why a record was not taken. Detail says what is wrong and where,
// and quotes nothing of the record.
type Rejection struct {
	Reason call.RejectReason
	Detail string
}

func reject(reason call.RejectReason, detail string) *Rejection {
	return &Rejection{reason, detail}
}

// What is ignored whoever sent it.
const (
	ignoredNull  = "null"  // a null value, in Kafka or in JSON
	ignoredEmpty = "empty" // an array of nothing
)

// IgnoredKinds lists everything that Result.Ignored can say.
func IgnoredKinds() []string {
	kinds := []string{ignoredNull, ignoredEmpty}
	for i := range providers {
		kinds = append(kinds, slices.Sorted(maps.Values(providers[i].ignored))...)
	}
	return kinds
}

// Decoder decodes the records of one source. It reuses its buffers and is not
// for concurrent use.
type Decoder struct {
	settings Settings
	doc      document
	draft    draft
}

// New returns a decoder for the records of one source.
func New(s Settings) *Decoder { return &Decoder{settings: s} }

// Decode decodes one record. An array is decoded element by element, all or
// nothing: where one element is rejected, the record is.
func (d *Decoder) Decode(in Input) Result {
	if in.Value == nil {
		return Result{Ignored: ignoredNull}
	}
	o, rejected := d.settings.origin(in.Headers)
	if rejected == nil && len(in.Value) > MaxBytes {
		rejected = reject(call.RejectTooLarge, strconv.Itoa(len(in.Value))+" bytes, at most "+strconv.Itoa(MaxBytes)+" are taken")
	}
	if rejected == nil {
		rejected = d.doc.parse(in.Value)
	}
	if rejected != nil {
		return Result{Reject: rejected}
	}
	result := d.whole(d.doc.root(), o, in.Timestamp)
	if len(result.Events) > 0 {
		trace(result.Events, in)
	}
	return result
}

// trace notes on events where they come from.
func trace(events []*call.Event, in Input) {
	sum := sha256.Sum256(in.Value)
	for _, e := range events {
		e.Source, e.SHA256 = in.Source, sum
	}
}

// whole decodes one event, or an array of them.
func (d *Decoder) whole(v value, o origin, timestamp int64) Result {
	if v.kind() != '[' {
		return d.element(v, o, timestamp)
	}
	var all Result
	for i, element := range v.elements() {
		r := d.element(element, o, timestamp)
		switch {
		case r.Reject != nil:
			r.Reject.Detail = "element " + strconv.Itoa(i) + ": " + r.Reject.Detail
			return r
		case r.Ignored != "" && all.Ignored == "":
			all.Ignored = r.Ignored
		}
		all.Events = append(all.Events, r.Events...)
	}
	switch {
	case len(all.Events) > 0:
		all.Ignored = ""
	case all.Ignored == "":
		all.Ignored = ignoredEmpty
	}
	return all
}

// element decodes one event as the provider sent it.
func (d *Decoder) element(v value, o origin, timestamp int64) Result {
	switch {
	case v.kind() == 'n':
		return Result{Ignored: ignoredNull}
	case !v.isObject():
		return Result{Reject: reject(call.RejectBadField, "the event is "+kindName(v.kind())+", want an object")}
	}
	if o.provider == call.NoProvider {
		var rejected *Rejection
		if o.provider, rejected = shape(v); rejected != nil {
			return Result{Reject: rejected}
		}
	}
	d.draft.begin(o, timestamp)
	p := &providers[o.provider]
	ignored := p.read(&d.draft, v)
	switch {
	case d.draft.rejected != nil:
		return Result{Reject: d.draft.rejected}
	case ignored != "":
		return Result{Ignored: ignored}
	}
	d.draft.doubt()
	return Result{Events: d.events(p, v)}
}

// events completes what the draft became.
func (d *Decoder) events(p *provider, v value) []*call.Event {
	events := append(append(d.draft.room.only[:0], d.draft.event), d.draft.more...)
	for _, e := range events {
		if p.onceContent != nil && e.IDKind == call.IDSemantic {
			e.Content = p.onceContent(v)
		} else {
			e.Content = d.draft.content(e)
		}
	}
	if d.settings.LinkByTag {
		d.draft.linkBy(p.tag)
	}
	return events
}

// origin is whose records these are.
type origin struct {
	provider      call.Provider
	tenant, scope string
}

// origin is what settings and headers say together.
func (s Settings) origin(headers []call.Header) (o origin, rejected *Rejection) {
	o = origin{s.Provider, s.Tenant, s.Scope}
	if h, ok := header(headers, "provider"); ok {
		if o.provider, ok = call.ParseProvider(string(h)); !ok {
			return o, reject(call.RejectUnknownProvider, "the provider header names none of "+strings.Join(providerWords(), ", "))
		}
	}
	if h, ok := header(headers, "tenant"); ok {
		if len(h) == 0 || !call.IsName(h) {
			return o, reject(call.RejectBadHeader, "the tenant header is not 1 to 128 bytes of UTF-8 without control characters")
		}
		o.tenant = string(h)
	}
	if h, ok := header(headers, "scope"); ok {
		if !call.IsName(h) {
			return o, reject(call.RejectBadHeader, "the scope header is not up to 128 bytes of UTF-8 without control characters")
		}
		o.scope = string(h)
	}
	if o.tenant == "" {
		o.tenant = call.DefaultTenant
	}
	return o, nil
}

// providerWords are the words that the header may have.
func providerWords() (words []string) {
	for _, p := range call.Providers() {
		words = append(append(words, p.String()), p.Aliases()...)
	}
	return words
}

// header is the value of the last header of that key: of several, that is the
// one that counts for Kafka's clients.
func header(headers []call.Header, key string) (v []byte, ok bool) {
	for _, h := range slices.Backward(headers) {
		if h.Key == key {
			return h.Value, true
		}
	}
	return nil, false
}

// LatestInstant is the largest instant that providers name in the events, not known
// where they name none. It stands in for the clock of raw files, which have no Kafka
// timestamps.
func LatestInstant(events []*call.Event) (latest call.Time) {
	for _, e := range events {
		latest = max(latest, e.ReportedAt, e.Recording.StartedAt, e.Recording.AvailableAt)
		latest = max(latest, named(e.Time), named(e.Started), named(e.Ringing), named(e.Answered), named(e.Ended))
		if s := e.Snapshot; s != nil {
			latest = max(latest, named(s.Started), named(s.Ringing), named(s.Answered), named(s.Ended), named(s.Alive))
		}
	}
	return latest
}

// named is an instant's moment where a provider named it.
func named(i call.Instant) call.Time {
	if i.Src == call.EvidenceIngest {
		return 0
	}
	return i.At
}
