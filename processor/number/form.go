package number

import (
	"cmp"
	"fmt"
	"slices"

	"callstitch/processor/call"
)

// Form is how an application's records show numbers. The zero value shows them as they are.
type Form struct {
	Mode Mode
	Key  Key // with HMAC only
}

// String names the form, and is the same for two instances whose records can be joined by
// numbers: full, masked, or hmac with the id of its key.
func (f Form) String() string {
	if f.Mode == HMAC {
		return tokenBegins + f.Key.ID()
	}
	return f.Mode.String()
}

// FormOf is the form that an address was written in; empty where there is none, or where
// it names nobody and is the same in each.
func FormOf(address string) string {
	_, withheld := nobody(address)
	switch {
	case address == "" || withheld:
		return ""
	case IsToken(address):
		return tokenBegins + KeyOf(address)
	case slices.Contains([]rune(address), cover):
		return Masked.String()
	}
	return Full.String()
}

// Writer writes outputs in a form. It is not safe for concurrent use. A nil Writer leaves
// numbers as they are.
type Writer struct {
	mode   Mode
	minter *minter
}

// Writer is one for a thread; nil where there is nothing to write otherwise.
func (f Form) Writer() *Writer {
	switch {
	case f.Mode == Full:
		return nil
	case f.Mode == Masked:
		return &Writer{mode: f.Mode}
	case f.Key == (Key{}):
		panic(errNoKey) // or every number would have a token that anybody can make
	}
	return &Writer{mode: f.Mode, minter: newMinter(f.Key)}
}

// Output is a record with its numbers in the form, and everything else as it was: those
// fields are written otherwise that have the tag x-pii in the schemas, and with a key the
// ids of events that are made of what those say. It changes nothing
// that it was given. A reject stays what it is: its bytes are the only copy. What it does
// not know it does not let through.
func (w *Writer) Output(o call.Output) call.Output {
	if w == nil {
		return o
	}
	switch o := o.(type) {
	case *call.EventRecord:
		e := w.event(o)
		e.SHA256 = w.record(o.Tenant, o.SHA256)
		return w.recordOf(o, e)
	case *call.Session:
		return w.session(o)
	case call.Settled:
		return call.Settled{Session: w.session(o.Session)}
	case *call.Leg:
		return w.leg(o)
	case *call.Reject, *call.Audit:
		return o
	}
	panic(fmt.Sprintf("number: whether there are any in a %T is not known", o))
}

// Rejected is an event for a reject, beside its raw record's hash: by that the record is
// found again.
func (w *Writer) Rejected(e *call.EventRecord) *call.EventRecord {
	if w == nil {
		return e
	}
	return w.recordOf(e, w.event(e))
}

func (w *Writer) recordOf(was *call.EventRecord, e *call.Event) *call.EventRecord {
	is := *was
	is.Event = e
	return &is
}

func (w *Writer) event(was *call.EventRecord) *call.Event {
	e := *was.Event
	e.From, e.To = w.party(e.Tenant, e.From), w.party(e.Tenant, e.To)
	e.TransferTarget = w.address(e.Tenant, e.TransferTarget)
	e.Attributes = w.attributes(e.Tenant, e.Attributes)
	if w.mode == HMAC && e.IDKind == call.IDContent {
		e.ID = w.minter.event(e.Tenant, e.ID)
	}
	return &e
}

func (w *Writer) session(was *call.Session) *call.Session {
	s := *was
	s.From, s.To = w.party(s.Tenant, s.From), w.party(s.Tenant, s.To)
	s.Legs = slices.Clone(s.Legs)
	for i := range s.Legs {
		l := &s.Legs[i]
		l.FromE164, l.ToE164 = w.address(s.Tenant, l.FromE164), w.address(s.Tenant, l.ToE164)
	}
	s.Transfers = slices.Clone(s.Transfers)
	for i := range s.Transfers {
		t := &s.Transfers[i]
		t.Transferor = w.address(s.Tenant, t.Transferor)
	}
	s.Attributes = w.attributes(s.Tenant, s.Attributes)
	return &s
}

func (w *Writer) leg(was *call.Leg) *call.Leg {
	l := *was
	l.From, l.To = w.party(l.Tenant, l.From), w.party(l.Tenant, l.To)
	l.Attributes = w.attributes(l.Tenant, l.Attributes)
	return &l
}

// party is both spellings of an address. As tokens they are one, of the one that is certain.
func (w *Writer) party(tenant string, p call.Party) call.Party {
	if w.mode == Masked {
		p.Raw, p.E164 = Mask(p.Raw), Mask(p.E164)
		return p
	}
	token := w.address(tenant, cmp.Or(p.E164, p.Raw))
	if p.Raw != "" {
		p.Raw = token
	}
	if p.E164 != "" {
		p.E164 = token
	}
	return p
}

// address is one address in the form. Where nobody is named there is nobody to hide.
func (w *Writer) address(tenant, text string) string {
	word, withheld := nobody(text)
	switch {
	case text == "" || withheld:
		return word
	case w.mode == Masked:
		return Mask(text)
	}
	return w.minter.token(tenant, text)
}

func (w *Writer) attributes(tenant string, was []call.Attribute) []call.Attribute {
	if !slices.ContainsFunc(was, call.Attribute.IsAddress) {
		return was
	}
	is := slices.Clone(was)
	for i := range is {
		if is[i].IsAddress() {
			is[i].Value = w.address(tenant, is[i].Value)
		}
	}
	return is
}

// record is what stands for the hash of a raw record. Without a key nothing can.
func (w *Writer) record(tenant string, of [32]byte) [32]byte {
	if w.mode == Masked {
		return [32]byte{}
	}
	return w.minter.record(tenant, of)
}
