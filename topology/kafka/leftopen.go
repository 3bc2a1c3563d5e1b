package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/topology"
)

// LeftOpen is a transaction of an instance that is gone.
type LeftOpen struct {
	ID    string    `json:"transactional_id"`
	Since time.Time `json:"since"`
}

// ongoing is the state of a transaction that nobody has decided to end.
const ongoing = "Ongoing"

// leftOpen are the transactions that instances of this application have left open. The
// beginning of a name does not tell whose it is: another application's id may begin with
// ours and a dash. Ours is the one that is in the metadata of the group's offsets, or that
// holds a partition which nobody else writes to.
func leftOpen(ctx context.Context, cfg *Config, cl *kgo.Client, owners map[string]bool) (open []LeftOpen, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	adm := kadm.NewClient(cl)
	listed, err := adm.ListTransactions(ctx, nil, []string{ongoing})
	if err != nil {
		return nil, fmt.Errorf("list transactions: %w", err)
	}
	var ids []string
	for id := range listed {
		if strings.HasPrefix(id, cfg.ApplicationID+"-") {
			ids = append(ids, id)
		}
	}
	open = []LeftOpen{}
	if len(ids) == 0 {
		return open, nil
	}
	described, err := adm.DescribeTransactions(ctx, ids...)
	if err != nil {
		return nil, fmt.Errorf("describe transactions: %w", err)
	}
	for _, tx := range described.Sorted() {
		_, ofExchange := tx.Topics[cfg.ExchangeTopic()]
		_, ofChangelog := tx.Topics[cfg.ChangelogTopic()]
		if tx.Err == nil && tx.State == ongoing && (owners[tx.TxnID] || ofExchange || ofChangelog) {
			open = append(open, LeftOpen{tx.TxnID, time.UnixMilli(tx.StartTimestamp).UTC()})
		}
	}
	return open, nil
}

// ownersIn are the transactional ids that have committed offsets of the group.
func ownersIn(committed kadm.OffsetResponses) map[string]bool {
	owners := make(map[string]bool)
	committed.Each(func(o kadm.OffsetResponse) {
		if m, err := parseMetadata(o.Metadata); err == nil && m.owner != "" {
			owners[m.owner] = true
		}
	})
	return owners
}

// openLimit is how long a transaction may stay open that nobody ends: brokers do so when
// its time has run out, and look for those every 10 s (transaction.abort.timed.out.transaction.cleanup.interval.ms).
const openLimit = defaultTransactionTimeout + 10*time.Second + 5*time.Second

// awaitStable waits until all that is in a topic is decided, for as long as brokers may
// take for it.
func awaitStable(ctx context.Context, cl *kgo.Client, topic string) error {
	adm := kadm.NewClient(cl)
	for begun := time.Now(); ; wait(ctx, loadingPause) {
		_, stable, high, err := edges(ctx, adm, topic)
		if err != nil {
			return err
		}
		var behind []topology.TopicPartition
		for p, end := range stable {
			if end < high[p] {
				behind = append(behind, topology.TopicPartition{Topic: topic, Partition: p})
			}
		}
		switch {
		case len(behind) == 0:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Since(begun) > openLimit:
			slices.SortFunc(behind, topology.TopicPartition.Compare)
			return hanging(ctx, cl, behind)
		}
	}
}

// hanging is the failure that transactions do not end, with what to do about each.
func hanging(ctx context.Context, cl *kgo.Client, behind []topology.TopicPartition) error {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	open, err := openTransactions(ctx, cl, behind)
	if err == nil && len(open) == 0 {
		return fmt.Errorf("some of %s could not be read until now, for open transactions: run this again", behind[0].Topic)
	}
	problems := []error{err}
	for _, o := range open {
		problems = append(problems, fmt.Errorf("%s has %s: %s", o.TopicPartition, &o, o.Remedy()))
	}
	return fmt.Errorf("not all of %s can be read, since transactions do not end: %w", behind[0].Topic, errors.Join(problems...))
}

// endOpen ends transactions that were left open: it raises the epochs of their producers.
func endOpen(ctx context.Context, cfg *Config, cl *kgo.Client, open []LeftOpen) error {
	for _, tx := range open {
		err := fence(ctx, cl, tx.ID, cfg.TransactionTimeout)
		if errors.Is(err, kerr.TransactionalIDAuthorizationFailed) {
			return fmt.Errorf("end the transaction of %s: %w: grant WRITE on transactional ids with the prefix %s-, or wait %v until brokers end it", tx.ID, err, cfg.ApplicationID, openLimit)
		}
		if err != nil {
			return fmt.Errorf("end the transaction of %s: %w: brokers end it within %v: run this again then", tx.ID, err, openLimit)
		}
	}
	return nil
}
