package decode

import (
	"crypto/sha256"
	"maps"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"callstitch/processor/call"
)

// Settings are what a source says about its records. Record headers override
// them.
type Settings struct {
	Provider  call.Provider // NoProvider: headers, else the shape decide
	Tenant    string        // empty: headers, else "default"
	Scope     string        // tells apart servers whose call ids may collide
	LinkByTag bool          // Bandwidth's tag links legs
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
	for _, feed := range []map[string]string{opentactFeeds, stringeeFeeds, sonetelFeeds, bandwidthFeeds} {
		kinds = append(kinds, slices.Sorted(maps.Values(feed))...)
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
		rejected = reject(call.TooLarge, strconv.Itoa(len(in.Value))+" bytes, at most "+strconv.Itoa(MaxBytes)+" are taken")
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
		return Result{Reject: reject(call.BadField, "the event is "+kindName(v.kind())+", want an object")}
	}
	if o.provider == call.NoProvider {
		var rejected *Rejection
		if o.provider, rejected = shape(v); rejected != nil {
			return Result{Reject: rejected}
		}
	}
	d.draft.begin(o, timestamp)
	ignored := d.draft.read(v)
	switch {
	case d.draft.rejected != nil:
		return Result{Reject: d.draft.rejected}
	case ignored != "":
		return Result{Ignored: ignored}
	}
	return Result{Events: d.events(v)}
}

// read fills the draft in as its provider writes events, or says as what kind
// it is to be ignored.
func (d *draft) read(v value) (ignored string) {
	switch d.event.Provider {
	case call.Opentact:
		return d.opentact(v)
	case call.Stringee:
		return d.stringee(v)
	case call.Sonetel:
		return d.sonetel(v)
	default:
		return d.bandwidth(v)
	}
}

// events completes what the draft became.
func (d *Decoder) events(v value) []*call.Event {
	events := append([]*call.Event{d.draft.event}, d.draft.more...)
	for _, e := range events {
		e.Content = d.draft.content(e)
		if e.Provider == call.Sonetel && e.IDKind == call.SemanticID {
			// A transition that Sonetel tells twice in other words is evidence of
			// a transfer, even where the words that differ are not read.
			e.Content = v.members()
		}
	}
	if d.settings.LinkByTag {
		d.draft.linkByTag()
	}
	return events
}

// origin is whose records these are.
type origin struct {
	provider      call.Provider
	tenant, scope string
}

// maxHeader bounds tenant and scope, which are part of every id.
const maxHeader = 128

// defaultTenant owns the records of sources that name none.
const defaultTenant = "default"

// origin is what settings and headers say together.
func (s Settings) origin(headers []call.Header) (o origin, rejected *Rejection) {
	o = origin{s.Provider, s.Tenant, s.Scope}
	if h, ok := header(headers, "provider"); ok {
		if o.provider, ok = call.ParseProvider(string(h)); !ok {
			return o, reject(call.UnknownProvider, "the provider header names none of opentact, stringee, sonetel, xelion, bandwidth")
		}
	}
	if h, ok := header(headers, "tenant"); ok {
		if len(h) == 0 || !isName(h) {
			return o, reject(call.BadHeader, "the tenant header is not 1 to 128 bytes of UTF-8 without control characters")
		}
		o.tenant = string(h)
	}
	if h, ok := header(headers, "scope"); ok {
		if !isName(h) {
			return o, reject(call.BadHeader, "the scope header is not up to 128 bytes of UTF-8 without control characters")
		}
		o.scope = string(h)
	}
	if o.tenant == "" {
		o.tenant = defaultTenant
	}
	return o, nil
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

func isName(b []byte) bool {
	if len(b) > maxHeader || !utf8.Valid(b) {
		return false
	}
	for _, r := range string(b) {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// shape tells the provider by the fields that only it sends.
func shape(v value) (call.Provider, *Rejection) {
	found := call.NoProvider
	for _, s := range shapes {
		if !s.fits(v) {
			continue
		}
		if found != call.NoProvider {
			return found, reject(call.AmbiguousProvider,
				"the event looks like both "+found.String()+" and "+s.provider.String()+": name its provider in a header or in the source's settings")
		}
		found = s.provider
	}
	if found == call.NoProvider {
		return found, reject(call.UnknownProvider,
			"the event looks like none of the providers': name its provider in a header or in the source's settings")
	}
	return found, nil
}

var shapes = []struct {
	provider call.Provider
	fits     func(value) bool
}{
	{call.Opentact, looksLikeOpentact},
	{call.Stringee, looksLikeStringee},
	{call.Sonetel, looksLikeSonetel},
	{call.Bandwidth, looksLikeBandwidth},
}

// LatestInstant is the largest instant that providers name in the events, epoch
// milliseconds; 0 where they name none. It stands in for the clock of raw files,
// which have no Kafka timestamps.
func LatestInstant(events []*call.Event) int64 {
	latest := int64(0)
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
func named(i call.Instant) int64 {
	if i.Src == call.Ingest {
		return 0
	}
	return i.At
}
