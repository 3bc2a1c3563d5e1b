package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/topology"
)

// Readers of committed records stop where the first transaction begins that is still open.
// Its coordinator ends it in time, after a crash too. But the markers that end it may be
// lost (KAFKA-20734), or its coordinator may never have known of it; then nobody ends it,
// and all readers of the partition stand still until an operator does (K57).

// OpenTransaction is a transaction behind which the readers of a partition wait.
type OpenTransaction struct {
	topology.TopicPartition
	First       int64 // offset of its first record, beyond which nobody reads
	Producer    int64
	Epoch       int16
	Coordinator int32 // epoch of the coordinator with which the producer wrote last; -1: the broker does not know
	// Since is when the transaction began as its coordinator says, else the date of what its
	// producer wrote last to the partition.
	Since time.Time
	// ID is the transactional id of the producer, where a coordinator knows it and this user
	// may see it; State is what the coordinator is at with it.
	ID, State string
	// Ends is when its coordinator ends it at the latest; zero: nobody does.
	Ends time.Time
	// Hidden reports that it may have a transactional id which this user may not see, and so
	// a coordinator that ends it: nobody may take it for one that hangs. Ends is then when
	// that would be by what brokers allow by default.
	Hidden bool
}

// Hangs reports whether nobody ends the transaction but an operator.
func (o *OpenTransaction) Hangs() bool { return o.Ends.IsZero() }

// String is the transaction in a sentence: "a transaction …".
func (o *OpenTransaction) String() string {
	s := fmt.Sprintf("an open transaction of producer %d", o.Producer)
	if o.ID != "" {
		s += " (transactional id " + o.ID + ")"
	} else {
		s += " (with no transactional id that this user may see)"
	}
	s += fmt.Sprintf(" from offset %d on, since %s", o.First, clockTime(o.Since))
	switch {
	case o.Hangs():
		return s + ", which no coordinator ends"
	case o.Hidden:
		return s + ", which a coordinator may end that this user cannot ask"
	}
	return s + ", which its coordinator ends by " + clockTime(o.Ends)
}

// Command ends the transaction, or shows what that would do.
func (o *OpenTransaction) Command() string {
	return fmt.Sprintf("callstitch abort %s %d", o.Topic, o.Partition)
}

// Remedy is what to do about the transaction.
func (o *OpenTransaction) Remedy() string {
	if o.Hangs() {
		return o.Command()
	}
	if o.Hidden && time.Now().After(o.Ends) {
		return "ask 'callstitch clock' as a user who has DESCRIBE on transactional ids whether anybody ends it"
	}
	if time.Now().After(o.Ends) {
		return "see the log of the brokers, which should have ended it by now"
	}
	return "wait until " + clockTime(o.Ends)
}

// clockTime is an instant for a message.
func clockTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// coordinatorScan is how often a coordinator looks for transactions that have timed out
// (transaction.abort.timed.out.transaction.cleanup.interval.ms).
const coordinatorScan = 10 * time.Second

// openTransactions finds the transactions behind which readers of some partitions wait: of
// each partition the first that is open. There mostly is one under traffic, which ends in
// milliseconds: see OpenTransaction.Hangs.
func openTransactions(ctx context.Context, cl *kgo.Client, of []topology.TopicPartition) (open []OpenTransaction, err error) {
	if len(of) == 0 {
		return nil, nil
	}
	stable, err := listOffsetsFor(ctx, cl, of, endOffset, readCommitted)
	if err != nil {
		return nil, fmt.Errorf("ask for last stable offsets: %w", err)
	}
	ends, err := listOffsets(ctx, cl, of, endOffset)
	if err != nil {
		return nil, fmt.Errorf("ask for end offsets: %w", err)
	}
	var set kadm.TopicsSet
	for _, tp := range of {
		last, ok := stable[tp]
		if end, also := ends[tp]; ok && also && last.Offset < end.Offset {
			set.Add(tp.Topic, tp.Partition)
		}
	}
	if len(set) == 0 {
		return nil, nil
	}
	adm := kadm.NewClient(cl)
	if open, err = firstOpen(ctx, adm, set); err != nil || len(open) == 0 {
		return nil, err
	}
	if err := askCoordinators(ctx, adm, open); err != nil {
		return nil, err
	}
	// What its coordinator has ended meanwhile is no longer open.
	still, err := firstOpen(ctx, adm, set)
	return slices.DeleteFunc(open, func(o OpenTransaction) bool {
		return !slices.ContainsFunc(still, func(s OpenTransaction) bool {
			return s.TopicPartition == o.TopicPartition && s.First == o.First && s.Producer == o.Producer
		})
	}), err
}

// firstOpen asks the leaders of partitions for the transaction that is open for longest in each.
func firstOpen(ctx context.Context, adm *kadm.Client, of kadm.TopicsSet) (open []OpenTransaction, err error) {
	described, err := adm.DescribeProducers(ctx, of)
	if err := unlessSome(err); err != nil {
		return nil, fmt.Errorf("describe producers: %w", err)
	}
	described.EachPartition(func(p kadm.DescribedProducersPartition) {
		if p.Err != nil {
			err = errors.Join(err, fmt.Errorf("describe the producers of %s-%d: %w", p.Topic, p.Partition, p.Err))
			return
		}
		first := OpenTransaction{First: -1}
		for _, one := range p.ActiveProducers {
			if one.CurrentTxnStartOffset >= 0 && (first.First < 0 || one.CurrentTxnStartOffset < first.First) {
				first = OpenTransaction{
					TopicPartition: topology.TopicPartition{Topic: p.Topic, Partition: p.Partition},
					First:          one.CurrentTxnStartOffset, Producer: one.ProducerID, Epoch: one.ProducerEpoch,
					Coordinator: one.CoordinatorEpoch, Since: time.UnixMilli(one.LastTimestamp),
				}
			}
		}
		if first.First >= 0 {
			open = append(open, first)
		}
	})
	slices.SortFunc(open, func(a, b OpenTransaction) int { return a.Compare(b.TopicPartition) })
	return open, err
}

// askCoordinators finds out which transactional ids the producers have, and whether their
// coordinators know of the transactions.
func askCoordinators(ctx context.Context, adm *kadm.Client, open []OpenTransaction) error {
	producers := make([]int64, len(open))
	for i, o := range open {
		producers[i] = o.Producer
	}
	listed, err := adm.ListTransactions(ctx, producers, nil)
	if err != nil { // one that does not answer may know of them
		return fmt.Errorf("list transactions: %w", err)
	}
	if err := requireCoordinators(ctx, adm); err != nil {
		return err
	}
	ids := listed.TransactionalIDs()
	var described kadm.DescribedTransactions
	if len(ids) > 0 {
		if described, err = adm.DescribeTransactions(ctx, ids...); err != nil {
			return fmt.Errorf("describe transactions: %w", err)
		}
	}
	for i := range open {
		o := &open[i]
		for _, id := range ids {
			if listed[id].ProducerID != o.Producer {
				continue
			}
			if err := o.heardOf(id, listed[id].State, described[id]); err != nil {
				return err
			}
		}
	}
	return askForHidden(ctx, adm, open)
}

// nobodysID is a transactional id that nobody has, nor is it by its beginning anybody's.
const nobodysID = "~nobody"

// askForHidden finds out whether producers of which no coordinator tells may have ids that
// this user may not see: coordinators leave those out without a word.
func askForHidden(ctx context.Context, adm *kadm.Client, open []OpenTransaction) error {
	if !slices.ContainsFunc(open, func(o OpenTransaction) bool { return o.ID == "" }) {
		return nil
	}
	err := adm.FindTxnCoordinators(ctx, nobodysID)[nobodysID].Err
	hidden := errors.Is(err, kerr.TransactionalIDAuthorizationFailed)
	if err != nil && !hidden {
		return fmt.Errorf("ask for the right to DESCRIBE transactional ids: %w", err)
	}
	for i := range open {
		if open[i].ID == "" {
			open[i].unseen(time.Now(), hidden)
		}
	}
	return nil
}

// requireCoordinators holds that all coordinators are there: one that is not may have the
// transaction in its books. Who may not see their topic is not told.
func requireCoordinators(ctx context.Context, adm *kadm.Client) error {
	const topic = "__transaction_state"
	details, err := listVisible(ctx, adm, topic)
	if err != nil {
		return err
	}
	if away := whatIsAway(details[topic], 0); details[topic].Err == nil && len(away) > 0 {
		return fmt.Errorf("the coordinators of some transactions are away: %s", away[0])
	}
	return nil
}

// unseenLimit is how long a transaction may last of whose producer nothing is known: what
// brokers allow by default (transaction.max.timeout.ms).
const unseenLimit = 15 * time.Minute

// unseen takes in that no coordinator tells of the producer.
func (o *OpenTransaction) unseen(now time.Time, hidden bool) {
	o.Hidden = hidden
	if ends := o.Since.Add(unseenLimit + coordinatorScan); hidden || now.Before(ends) {
		o.Ends = ends
	}
}

// heardOf takes in what a coordinator knows of the producer. It ends only what it has in
// its books: this partition, of this transaction. One that cannot tell may have it there.
func (o *OpenTransaction) heardOf(id, state string, d kadm.DescribedTransaction) error {
	o.ID, o.State = id, state
	timeout := time.Duration(d.TimeoutMillis) * time.Millisecond
	switch {
	case errors.Is(d.Err, kerr.TransactionalIDNotFound): // it has just been forgotten
		return nil
	case d.Err != nil:
		return fmt.Errorf("describe the transaction of %s: %w", id, d.Err)
	case d.State != "Ongoing" && d.State != "PrepareCommit" && d.State != "PrepareAbort":
		return nil
	case d.ProducerID != o.Producer || !d.Topics.Lookup(o.Topic, o.Partition):
		return nil
	}
	o.Since = time.UnixMilli(d.StartTimestamp)
	o.Ends = o.Since.Add(timeout + coordinatorScan)
	return nil
}

// fenceLimit bounds the fencing of one owner: its transaction times out by
// itself soon after.
const fenceLimit = 5 * time.Second

// fence raises the epoch of a transactional id: its open transaction is aborted,
// and whoever still uses it finds out.
func fence(ctx context.Context, cl *kgo.Client, id string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, fenceLimit)
	defer cancel()
	for {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID = &id
		req.TransactionTimeoutMillis = int32(timeout.Milliseconds())
		resp, err := req.RequestWith(ctx, cl)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		// An abort that is under way answers CONCURRENT_TRANSACTIONS.
		if err == nil || !kerr.IsRetriable(err) && !errors.Is(err, kerr.ConcurrentTransactions) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}
