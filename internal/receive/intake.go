package receive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"callstitch/internal/receive/spool"
)

var (
	// ErrNoRoom is that of an event for which there is no room: as many bytes as may
	// be are under way to Kafka, and the spool is full, or there is none.
	ErrNoRoom = errors.New("there is no room for the event")
	// ErrNotInTime is that of an event that Kafka has not acknowledged within hold, where
	// there is no spool. It may still come to be in its topic.
	ErrNotInTime = errors.New("no acknowledgement from Kafka in time")
)

const (
	// spoolLimit is how long an event waits for the disk. With hold before it, it is
	// still less than who sends events waits for an answer.
	spoolLimit = 3 * time.Second
	// waitMost is how many events wait for Kafka at a time where there is a spool; what is
	// more goes there at once. Fewer than the door answers at a time, so that in the first
	// moments of an outage, before it is known to be one, nobody is refused.
	waitMost = 1024
	// watchEvery is how often it is looked whether Kafka answers.
	watchEvery = time.Second
	// pingEvery is how often Kafka is asked whether it is there, since events may be
	// rare, and pingLimit how long it has to answer.
	pingEvery = 5 * time.Second
	pingLimit = 5 * time.Second
	// refusedFor is how long a refusal counts: an instance that gets no events because
	// it is not ready would not find out otherwise that it is over.
	refusedFor = 10 * time.Second
)

// Intake takes events over: to Kafka, and to the spool what Kafka does not acknowledge
// within hold. Its methods may be called from any goroutine.
type Intake struct {
	hold    time.Duration
	flight  flight
	kafka   carrier
	spool   *spool.Spool // nil: there is none
	log     *slog.Logger
	spooled atomic.Int64
	waiting atomic.Int64 // events that wait for Kafka

	mu        sync.Mutex // guards the rest
	unreached error      // why Kafka has not answered when it was asked last, or nil
	askedAt   time.Time  // when it was asked the first time that it has not answered since
	refused   error      // the last that Kafka said to a record, unless it took it
	refusedAt time.Time
	inTime    time.Time // when Kafka last acknowledged a record within hold
}

// carrier brings records to Kafka.
type carrier interface {
	// send brings a record. done is called once, with nil when every replica that is in
	// sync has it, or when it is no longer tried. It may be called at once. It does not wait.
	send(r spool.Record, done func(error))
	// ping asks whether Kafka is there.
	ping(ctx context.Context) error
	// close waits until nothing is under way or ctx ends, and lets go of the rest.
	close(ctx context.Context)
}

// NewIntake opens the spool, if there is one, and a client of Kafka, which need not be
// there yet. Run makes it work, Close ends it.
func NewIntake(cfg Config) (*Intake, error) {
	in := newIntake(cfg)
	if cfg.Spool.Dir != "" {
		s, err := spool.Open(spool.Config{Dir: cfg.Spool.Dir, Max: cfg.Spool.Max, Log: in.log})
		if err != nil {
			return nil, err
		}
		in.spool = s
	}
	p, err := newProducer(cfg)
	if err != nil {
		if in.spool != nil {
			err = errors.Join(err, in.spool.Close())
		}
		return nil, err
	}
	in.kafka = p
	return in, nil
}

func newIntake(cfg Config) *Intake {
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Intake{
		hold: cfg.Hold, flight: flight{max: cfg.MaxInFlight}, log: log,
		unreached: errors.New("no answer from Kafka yet"),
	}
}

// Take is a Take. The end of ctx does not stop it: what is here as a whole is kept if it
// can be, even if nobody waits for the answer any more. It returns within hold and a few
// seconds.
func (in *Intake) Take(_ context.Context, e Event) error {
	r := recordOf(e)
	sent, why := in.offer(r)
	if sent != nil {
		why = in.await(sent)
	}
	if why == nil || in.spool == nil {
		return why
	}
	return in.keep(r, sent)
}

// await waits until Kafka has an event, for hold at most.
func (in *Intake) await(sent <-chan error) error {
	in.waiting.Add(1)
	defer in.waiting.Add(-1)
	hold := time.NewTimer(in.hold)
	defer hold.Stop()
	select {
	case err := <-sent:
		if err != nil {
			return fmt.Errorf("refused by Kafka: %w", err)
		}
		return nil
	case <-hold.C:
		return ErrNotInTime
	}
}

// offer sends a record to Kafka, or says why it does not.
func (in *Intake) offer(r spool.Record) (sent <-chan error, why error) {
	if in.spool != nil && (in.waiting.Load() >= waitMost || in.away()) {
		return nil, ErrNotInTime // as those before it: it need not wait to find out
	}
	done := make(chan error, 1)
	if !in.launch(r, sizeOf(r), func(err error) { done <- err }) {
		return nil, fmt.Errorf("%w: %d bytes are under way to Kafka", ErrNoRoom, in.flight.max)
	}
	return done, nil
}

// keep gives an event to the spool. It is taken too if Kafka acknowledges it meanwhile.
func (in *Intake) keep(r spool.Record, sent <-chan error) error {
	limit := time.NewTimer(spoolLimit)
	defer limit.Stop()
	kept := in.spool.Append(r)
	for {
		select {
		case err := <-kept:
			switch {
			case err == nil:
				in.spooled.Add(1)
				return nil
			case errors.Is(err, spool.ErrFull):
				return fmt.Errorf("%w: %w", ErrNoRoom, err)
			}
			return err
		case err := <-sent:
			if err == nil {
				return nil
			}
			sent = nil
		case <-limit.C:
			return fmt.Errorf("%w: the spool's disk has not answered for %v", ErrNoRoom, spoolLimit)
		}
	}
}

// launch sends a record to Kafka, and counts it until the client lets go of it; it
// reports whether there is room for so many bytes.
func (in *Intake) launch(r spool.Record, size int64, done func(error)) bool {
	f := in.flight.begin(size)
	if f == nil {
		return false
	}
	in.kafka.send(r, func(err error) {
		in.flight.end(f)
		in.heard(err, time.Since(f.since) < in.hold)
		done(err)
	})
	return true
}

// resend is the spool's Send.
func (in *Intake) resend(ctx context.Context, records []spool.Record) []error {
	errs := in.resendAll(ctx, records)
	for i, err := range errs {
		// What is too large may be the batch that it was in.
		if isFinal(err) {
			errs[i] = in.resendAll(ctx, records[i:i+1])[0]
		}
		if isFinal(errs[i]) {
			errs[i] = fmt.Errorf("%w: %w", spool.ErrRefused, errs[i])
		}
	}
	return errs
}

// resendAll sends records, and waits until Kafka's client has let go of them, or ctx
// ends. They have room of their own: the spool bounds what it sends at a time.
func (in *Intake) resendAll(ctx context.Context, records []spool.Record) []error {
	errs := make([]error, len(records))
	var under sync.WaitGroup
	under.Add(len(records))
	for i, r := range records {
		in.launch(r, 0, func(err error) {
			errs[i] = err
			under.Done()
		})
	}
	all := make(chan struct{})
	go func() {
		under.Wait()
		close(all)
	}()
	select {
	case <-all:
		return errs
	case <-ctx.Done():
		ended := make([]error, len(records)) // the other ones are still written to
		for i := range ended {
			ended[i] = ctx.Err()
		}
		return ended
	}
}

// heard notes what Kafka said to a record, and whether that was in time.
func (in *Intake) heard(err error, inTime bool) {
	if isFinal(err) {
		return // it is the record's fault
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	now := time.Now()
	in.refused, in.refusedAt = err, now
	if err == nil {
		in.unreached = nil
	}
	if err == nil && inTime {
		in.inTime = now
	}
}

// away reports whether Kafka is known to be away: for longer than hold it has not
// acknowledged some record, and none in time. If others are, some partition has no
// leader, and records go to the rest.
func (in *Intake) away() bool {
	since, any := in.flight.oldest()
	if !any || time.Since(since) <= in.hold {
		return false
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	return time.Since(in.inTime) > in.hold
}

// Ready is nil while events can be taken, because Kafka answers or there is room in the
// spool; else it says why not.
func (in *Intake) Ready() error {
	kafka := in.kafkaReady()
	if kafka == nil || in.spool == nil {
		return kafka
	}
	if room := in.spool.Room(); room != nil {
		return errors.Join(kafka, room)
	}
	return nil
}

func (in *Intake) kafkaReady() error {
	if in.away() {
		return fmt.Errorf("no acknowledgement from Kafka for longer than %v", in.hold)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.refused != nil && time.Since(in.refusedAt) < refusedFor {
		return fmt.Errorf("records are refused by Kafka: %w", in.refused)
	}
	if time.Since(in.askedAt) < in.hold { // events wait as long for it
		return nil
	}
	return in.unreached
}

// Stats are numbers for metrics.
type Stats struct {
	InFlightBytes int64 // of events that were sent to Kafka and are not acknowledged
	Spooled       int64 // events that were given to the spool
	SpoolRecords  int64 // that wait in the spool
	SpoolBytes    int64 // that the spool takes on disk
}

// Stats are the numbers of now.
func (in *Intake) Stats() Stats {
	s := Stats{InFlightBytes: in.flight.size(), Spooled: in.spooled.Load()}
	if in.spool != nil {
		s.SpoolRecords, s.SpoolBytes = in.spool.Size()
	}
	return s
}

// Run drains the spool, and watches Kafka, until ctx ends.
func (in *Intake) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { in.ping(ctx) })
	if in.spool != nil {
		all.Go(func() { in.spool.Drain(ctx, in.resend) })
	}
	in.watch(ctx)
}

// watch says when Kafka goes away, and when it is back.
func (in *Intake) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for was := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		is := in.away()
		switch {
		case is && !was && in.spool != nil:
			in.log.Warn("Kafka does not acknowledge: events go to the spool", "hold", in.hold)
		case is && !was:
			in.log.Error("Kafka does not acknowledge, and there is no spool: events are refused", "hold", in.hold)
		case was && !is:
			in.log.Info("Kafka acknowledges again")
		}
		was = is
	}
}

// ping asks whether Kafka is there: an instance to which nothing comes has no other way
// to know.
func (in *Intake) ping(ctx context.Context) {
	for ctx.Err() == nil {
		asked := time.Now()
		limited, cancel := context.WithTimeout(ctx, pingLimit)
		err := in.kafka.ping(limited)
		cancel()
		if err != nil {
			err = fmt.Errorf("no answer from Kafka: %w", err)
		}
		in.mu.Lock()
		if in.unreached == nil {
			in.askedAt = asked
		}
		in.unreached = err
		in.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(pingEvery):
		}
	}
}

// Close waits for what is under way to Kafka, until ctx ends, and closes the spool. Run
// must have returned, and no Take may be under way.
func (in *Intake) Close(ctx context.Context) error {
	in.kafka.close(ctx)
	if in.spool == nil {
		return nil
	}
	return in.spool.Close()
}

// recordOf is the record that an event becomes.
func recordOf(e Event) spool.Record {
	r := spool.Record{Time: e.Received, Body: e.Body}
	for _, h := range [...]spool.Header{
		{Key: "provider", Value: e.Provider},
		{Key: "tenant", Value: e.Tenant},
		{Key: "scope", Value: e.Scope},
		{Key: "traceparent", Value: e.Traceparent},
	} {
		if h.Value != "" {
			r.Headers = append(r.Headers, h)
		}
	}
	return r
}
