package topology

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"callstitch/processor/call"
	"callstitch/processor/codec"
	"callstitch/processor/decode"
)

// DecodeTask decodes one partition of a source topic. Its whole state fits the
// metadata of the partition's committed offset.
type DecodeTask struct {
	source  TopicPartition
	decoder *decode.Decoder

	now, committed decodeState
	// early holds events of a raw file whose arrival is not known yet, because no
	// instant was read that tells it.
	early []*call.Event
	file  bool // the records come out of a file
	ended bool // no more records come
	// ignored counts the ignored records by kind since the task was created;
	// fresh are those of the open transaction.
	ignored, fresh map[string]int64

	control control
}

type decodeState struct {
	position int64        // next raw offset
	clock    call.Arrival // no later record arrives before it; call.Unheard before it is known
	dated    call.Arrival // the last record's date, which the next one bears out or not; call.Unheard without one
	totals   Totals
	doubts   doubts

	vouched call.Arrival // the latest time that was told of the partition; call.Unheard before that
	dropped int64        // when the partition was dropped from the clock, epoch ms; 0: it was not
}

// NewDecodeTask is the task of one partition, before any record.
func NewDecodeTask(cfg *Config, src Source, partition int32) *DecodeTask {
	start := decodeState{clock: call.Unheard, dated: call.Unheard, vouched: call.Unheard}
	return &DecodeTask{
		source: TopicPartition{src.Topic, partition}, decoder: src.decoder(),
		now: start, committed: start,
		ignored: map[string]int64{}, fresh: map[string]int64{},
	}
}

// metadataForm is the first word of a committed offset's metadata. The numbers of
// decodeState.numbers follow it.
const metadataForm = "1"

// numbers are what is kept of the state. The date and what follows it came later: a version
// that does not know them passes over them, so instances of both work side by side. One that
// knows no mark of a drop forgets it with its next commit, and waits for the partition again.
func (s *decodeState) numbers() []*int64 {
	t := &s.totals
	return []*int64{
		&s.position, (*int64)(&s.clock), &t.Read, &t.Decoded, &t.Ignored, &t.Rejected, &t.Events,
		(*int64)(&s.dated), (*int64)(&s.vouched), &s.dropped,
	}
}

// numbersLeast is how many numbers the first version kept.
const numbersLeast = 7

// Reads is the partition of a source topic whose records the task takes.
func (t *DecodeTask) Reads() TopicPartition { return t.source }

// Metadata is the task's state for the metadata of the offset that the
// transaction commits: a few numbers, far below Kafka's limit of 4,096 bytes.
func (t *DecodeTask) Metadata() string {
	s, b := t.now, []byte(metadataForm)
	for _, n := range s.numbers() {
		b = strconv.AppendInt(append(b, ' '), *n, 10)
	}
	return string(b)
}

// Restore takes up the state that Metadata wrote; "" is a fresh start.
func (t *DecodeTask) Restore(metadata string) error {
	if metadata == "" {
		return nil
	}
	form, numbers, _ := strings.Cut(metadata, " ")
	if form != metadataForm {
		return fmt.Errorf("restore %s from offset metadata of form %q: %w", t.source, form, codec.ErrNewerState)
	}
	s, words := decodeState{dated: call.Unheard, vouched: call.Unheard}, strings.Fields(numbers)
	if len(words) < numbersLeast {
		return fmt.Errorf("restore %s from offset metadata %q: %w", t.source, metadata, codec.ErrCorrupt)
	}
	into := s.numbers()
	for i := range min(len(words), len(into)) {
		var err error
		if *into[i], err = strconv.ParseInt(words[i], 10, 64); err != nil {
			return fmt.Errorf("restore %s from offset metadata %q: %w", t.source, metadata, err)
		}
	}
	t.now, t.committed = s, s
	return nil
}

// Process decodes one raw record: its events go to stitch tasks, and a record
// that cannot be taken to the rejects. Where the record has no timestamp, as in
// a raw file, the largest provider instant read so far stands for it; see FromFile for
// those that are not believed. There is no error: whatever a provider sends is taken, ignored, or rejected.
func (t *DecodeTask) Process(r Record, fx *Effects) error {
	if r.Refused != nil {
		t.refuse(r, fx)
		return nil
	}
	t.Prepare(&r)
	res := &r.decoded
	t.reads(r.Offset)
	arrival := t.arrive(r.Timestamp, res.Events)
	totals := &t.now.totals
	totals.Read++
	switch {
	case res.Reject != nil:
		totals.Rejected++
		fx.Outputs = append(fx.Outputs, rejected(r, &Refusal{Reason: res.Reject.Reason, Detail: res.Reject.Detail}))
	case res.Ignored != "":
		totals.Ignored++
		t.fresh[res.Ignored]++
	default:
		totals.Decoded++
		totals.Events += int64(len(res.Events))
		t.send(res.Events, arrival, fx)
	}
	return nil
}

// Prepare decodes a record, unless that is done. Nothing but the record and the
// source's settings decides what comes of it.
func (t *DecodeTask) Prepare(r *Record) {
	if r.prepared || r.Refused != nil {
		return
	}
	r.decoded = t.decoder.Decode(r.input())
	r.prepared = true
}

// Decode is what comes of a raw record of the source, as its decode task would have it.
func (s Source) Decode(r Record) decode.Result { return s.decoder().Decode(r.input()) }

func (s Source) decoder() *decode.Decoder {
	return decode.New(decode.Settings{Provider: s.Provider, Tenant: s.Tenant, Scope: s.Scope, LinkByTag: s.LinkByTag})
}

// input is a raw record as the decoder takes it.
func (r *Record) input() decode.Input {
	return decode.Input{
		Value: r.Value, Headers: r.Headers, Timestamp: max(Original(r), 0),
		Source: call.Source{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset},
	}
}

// reads moves the position behind a record. A partition that is read is in the clock.
func (t *DecodeTask) reads(offset int64) {
	t.now.position, t.now.dropped = offset+1, 0
}

// refuse rejects a record that the runtime could not hand over. It is read like any
// other: its place is passed, its time has come, and the books count it.
func (t *DecodeTask) refuse(r Record, fx *Effects) {
	t.reads(r.Offset)
	t.arrive(r.Timestamp, nil)
	t.now.totals.Read++
	t.now.totals.Rejected++
	fx.Outputs = append(fx.Outputs, rejected(r, r.Refused))
}

// timestampMax is the end of the year 2099. Brokers do not let later timestamps
// in; one out of a file must not carry time to where sums overflow.
const timestampMax = 4_102_444_799_999

// arrive moves arrival time, and is when a record arrived. Only here does a raw record's
// timestamp become an arrival; a raw file has none, and its call times stand for them.
func (t *DecodeTask) arrive(timestamp int64, events []*call.Event) call.Arrival {
	stamped := timestamp > 0
	if !stamped {
		timestamp = int64(decode.LatestInstant(events))
	}
	if timestamp <= 0 {
		if t.now.clock == call.Unheard {
			return t.now.dated
		}
		return t.now.clock
	}
	at := call.Arrival(min(timestamp, timestampMax))
	if t.file && !t.now.believe(at, stamped, events) {
		return t.now.doubtful(at)
	}
	if t.file && !stamped { // providers' instants go back and forth, and doubts bound them
		t.now.clock = max(t.now.clock, at)
		return t.now.clock
	}
	return t.follow(at)
}

// Leeway is how much earlier than a record the next one of its partition may be dated
// and still bear its date out.
const Leeway = time.Minute

// follow takes the date of a record, and is when the record arrives: by its own date,
// but not before the clock. The clock follows the record before it if this one bears
// that date out, so that a record which is dated ahead moves nothing but itself:
//
//	dated    10:00:00  10:00:01  10:59:00  10:00:02  10:00:03
//	clock           –  10:00:00  10:00:01  10:00:01  10:00:02
//	arrives  10:00:00  10:00:01  10:59:00  10:00:02  10:00:03
//
// No record waits for the next one, and nothing but the partition's records decides (K40).
func (t *DecodeTask) follow(date call.Arrival) call.Arrival {
	s := &t.now
	if s.dated != call.Unheard && date >= s.dated.Add(-Leeway) {
		s.clock = max(s.clock, s.dated)
	}
	if controls && t.control.followAtOnce {
		s.clock = max(s.clock, date)
	}
	s.dated = date
	s.doubts.latest = max(s.doubts.latest, date)
	return max(s.clock, date)
}

// earlyMax bounds the events that wait for the first instant of a raw file.
const earlyMax = 10_000

func (t *DecodeTask) send(events []*call.Event, arrival call.Arrival, fx *Effects) {
	if arrival == call.Unheard {
		if len(t.early) < earlyMax {
			t.early = append(t.early, events...)
			return
		}
		t.now.clock, arrival = 0, 0
	}
	t.release(arrival, fx)
	for _, e := range events {
		fx.Decoded = append(fx.Decoded, Decoded{e, arrival})
	}
}

func (t *DecodeTask) release(arrival call.Arrival, fx *Effects) {
	for _, e := range t.early {
		fx.Decoded = append(fx.Decoded, Decoded{e, arrival})
	}
	t.early = nil
}

// End says that no more records come. Events of a raw file that waited for an
// instant to tell their arrival are sent by the next Finish; where none came at
// all, they arrive at 0.
func (t *DecodeTask) End() { t.ended = true }

// Finish ends a batch. No timers of a decode task are ever due.
func (t *DecodeTask) Finish(fx *Effects) (more bool, err error) {
	if t.ended {
		t.now.clock = max(t.now.clock, t.now.doubts.latest, 0)
		t.release(t.now.clock, fx)
	}
	return false, nil
}

func rejected(r Record, why *Refusal) Output {
	return Output{Key: r.Key, Value: &call.Reject{
		Reason: why.Reason, Detail: why.Detail, Cut: why.Cut, Batch: why.Batch,
		Source:    call.Source{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset},
		Timestamp: Original(&r), Key: r.Key, Value: r.Value, Headers: r.Headers,
	}}
}

// Progress is how far the task is with everything that it has processed, for a
// tick in the same transaction. Idle says that an answer since the worker's last
// tick showed the position at the high watermark and that the partition is not
// paused; heard is then a broker's timestamp of an exchange record that was there
// before that answer was asked for, call.Unheard if none.
//
// A partition that is not idle vouches only for the millisecond before its
// clock: the next record may arrive at the same time. One that was dropped from the clock
// vouches as if it were idle, whatever waits in it.
func (t *DecodeTask) Progress(idle bool, heard call.Arrival) Progress {
	p := Progress{Source: t.source, Time: call.Unheard, Arrival: max(t.now.clock, t.now.dated), Offset: t.now.position, Totals: t.now.totals}
	if len(t.early) > 0 {
		// The book of these records is closed when their events are on the way.
		p.Offset, p.Totals = 0, Totals{}
	}
	if controls && t.control.believeIdle && idle {
		t.now.clock = p.Arrival
	}
	if t.now.clock != call.Unheard {
		p.Time = t.now.clock - 1
		if controls && t.control.vouchForLatest {
			p.Time = p.Arrival
		}
	}
	if idle || t.now.dropped != 0 {
		p.Time = max(p.Time, heard)
	}
	return p
}

// Tick adds to a tick how far the task is; see Progress.
func (t *DecodeTask) Tick(k *Tick, idle bool, heard call.Arrival) {
	if idle {
		t.now.dropped = 0
	}
	p := t.Progress(idle, heard)
	t.now.vouched = max(t.now.vouched, p.Time)
	k.Progress = append(k.Progress, p)
}

// Drop takes the partition out of the clock, for it cannot be read: its task vouches for it
// as for an idle one, until it has read a record of it or has seen that there is none. What
// waits in it arrives by its date as ever: sessions that were closed without it are amended,
// and where their legs were freed meanwhile, it is late. At is when, epoch ms.
func (t *DecodeTask) Drop(at int64) {
	t.now.dropped = at
	t.committed = t.now
}

// Sent is not called: events and ticks are not acknowledged.
func (t *DecodeTask) Sent(Envelope, int64) {}

// Pending is 0: what a decode task has read is in no store.
func (t *DecodeTask) Pending() int { return 0 }

// Report is what operators are told of the task. Ignored counts the ignored records
// by kind since the task was made, of committed transactions only; the caller does
// not change it.
func (t *DecodeTask) Report() Report {
	return Report{
		Node: DecodeNode, Totals: t.now.totals, Ignored: t.ignored, Arrival: t.now.clock,
		Vouched: t.now.vouched, Dropped: t.now.dropped,
	}
}

// Totals is what the records processed so far came to.
func (t *DecodeTask) Totals() Totals { return t.now.totals }

// Commit makes everything since the last Commit or Restore durable. The position is
// in the metadata already.
func (t *DecodeTask) Commit(int64) {
	t.committed = t.now
	for kind, n := range t.fresh { // order: a sum has none
		t.ignored[kind] += n
	}
	clear(t.fresh)
}

// Abort goes back to the last Commit or Restore.
func (t *DecodeTask) Abort() error {
	t.now = t.committed
	t.early = nil
	clear(t.fresh)
	return nil
}
