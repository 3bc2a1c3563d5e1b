package topology

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"callstitch/processor/call"
	"callstitch/processor/codec"
)

// What a stitch task keeps in its store beside its nodes, how it is written at the end of
// a transaction, and how all of it is taken up: by a new owner, and after an abort.

// The first byte of the task's own keys. Those of the stitch machine begin with
// small letters.
const (
	positionKey = 'P' // position, held
	clocksKey   = 'C'
	accountKey  = 'A' // + partition, topic
	bookKey     = 'B' // + partition, topic
)

func sourceKey(kind byte, p TopicPartition) []byte {
	key := binary.BigEndian.AppendUint32([]byte{kind}, uint32(p.Partition))
	return append(key, p.Topic...)
}

func parseSourceKey(key []byte) (p TopicPartition, err error) {
	if len(key) < 5 {
		return p, fmt.Errorf("read the key of an account or book: %w", codec.ErrCorrupt)
	}
	return TopicPartition{string(key[5:]), int32(binary.BigEndian.Uint32(key[1:]))}, nil
}

// Load takes in one changelog record; a nil value deletes.
func (t *StitchTask) Load(key, value []byte) { t.store.Load(key, value) }

// Restored ends a restore, after the last Load. Ends are the high watermarks
// (read uncommitted: a committed message may hide behind another's open
// transaction) of every exchange partition, read after the last owner was
// fenced; nil says that no messages of a last owner can be in flight.
func (t *StitchTask) Restored(ends []int64) error {
	if err := t.takeUp(); err != nil {
		return t.failed(err)
	}
	t.ends = ends
	t.said = Clock{Task: t.partition, Time: t.reached(), Position: t.position}
	return nil
}

// takeUp takes up everything from the committed store. It fails with
// codec.ErrNewerState or codec.ErrCorrupt, and says what cannot be read.
func (t *StitchTask) takeUp() error {
	t.forget()
	var own error
	nodes := t.machine.Rebuild(func(yield func(key, value []byte) bool) {
		for key, value := range t.store.All() {
			switch {
			case len(key) == 0 || key[0] < 'a':
				if err := t.take(key, value); err != nil && own == nil {
					own = err
				}
			case !yield(key, value):
				return
			}
		}
	})
	t.clocks.configure(t.raw)
	return errors.Join(own, nodes)
}

// goBack takes up what the open transaction may have changed, from a store that has
// undone it. It comes to what takeUp does, without a look at every node.
func (t *StitchTask) goBack() error {
	keys := [][]byte{{positionKey}, {clocksKey}}
	for p := range t.accounts { // order: each is taken for itself
		keys = append(keys, sourceKey(accountKey, p))
	}
	for p := range t.books { // order: each is taken for itself
		keys = append(keys, sourceKey(bookKey, p))
	}
	t.forget()
	var own error
	for _, key := range keys {
		if value := t.store.Get(key); value != nil {
			own = errors.Join(own, t.take(key, value))
		}
	}
	t.clocks.configure(t.raw)
	return errors.Join(own, t.machine.Abort())
}

// forget drops all that the task holds beside its store and its machine.
func (t *StitchTask) forget() {
	t.clocks = newClocks(t.cfg.ExchangePartitions)
	t.accounts, t.books = map[TopicPartition]*account{}, map[TopicPartition]*book{}
	t.position, t.held = 0, call.Unheard
	t.local = t.local[:0]
}

// take takes up a value of the task's own.
func (t *StitchTask) take(key, value []byte) error {
	if len(key) == 0 {
		return fmt.Errorf("read an empty key: %w", codec.ErrCorrupt)
	}
	switch key[0] {
	case positionKey:
		return t.takePosition(value)
	case clocksKey:
		return t.takeClocks(value)
	case accountKey:
		return t.takeAccount(key, value)
	case bookKey:
		return t.takeBook(key, value)
	default:
		return fmt.Errorf("read a key of kind %q: %w", key[0], codec.ErrNewerState)
	}
}

func (t *StitchTask) takePosition(value []byte) error {
	c := codec.NewReader(value)
	c.Int64(&t.position)
	t.held.Visit(c)
	if err := c.Done(); err != nil {
		return fmt.Errorf("read the position: %w", err)
	}
	return nil
}

func (t *StitchTask) takeClocks(value []byte) error {
	if err := codec.Read(value, &t.clocks); err != nil {
		return fmt.Errorf("read the clocks: %w", err)
	}
	if n := len(t.clocks.tasks); n != int(t.cfg.ExchangePartitions) {
		return fmt.Errorf("clocks of %d stitch tasks, where the exchange has %d partitions; restore its partition count, or reset the application with 'callstitch reset'", n, t.cfg.ExchangePartitions)
	}
	return nil
}

func (t *StitchTask) takeAccount(key, value []byte) error {
	p, err := parseSourceKey(key)
	if err != nil {
		return err
	}
	a := t.account(p)
	err = codec.Read(value, a)
	if err == nil && a.answer.Offset != 0 && a.answer.Task != t.partition {
		err = codec.ErrCorrupt
	}
	if err != nil {
		return fmt.Errorf("read the account of %s: %w", p, err)
	}
	a.restored()
	return nil
}

func (t *StitchTask) takeBook(key, value []byte) error {
	p, err := parseSourceKey(key)
	if err != nil {
		return err
	}
	b := t.book(p)
	err = codec.Read(value, b)
	if err == nil && !b.of(t.cfg.ExchangePartitions) {
		err = codec.ErrCorrupt
	}
	if err != nil {
		return fmt.Errorf("read the book of %s: %w", p, err)
	}
	return nil
}

func (t *StitchTask) account(p TopicPartition) *account {
	a := t.accounts[p]
	if a == nil {
		a = new(account)
		t.accounts[p] = a
	}
	return a
}

func (t *StitchTask) book(p TopicPartition) *book {
	b := t.books[p]
	if b == nil {
		b = new(book)
		t.books[p] = b
	}
	return b
}

// record writes what changed of the task's own state to its store.
func (t *StitchTask) record() {
	c := codec.NewWriter(nil)
	held := t.reached()
	c.Int64(&t.position)
	held.Visit(c)
	t.put([]byte{positionKey}, c.Buf)
	t.put([]byte{clocksKey}, codec.Append(nil, &t.clocks))
	for _, p := range t.dirtyAccounts() {
		a := t.accounts[p]
		a.dirty = false
		t.store.Put(sourceKey(accountKey, p), codec.Append(nil, a))
	}
}

func (t *StitchTask) put(key, value []byte) {
	if !bytes.Equal(t.store.Get(key), value) {
		t.store.Put(key, value)
	}
}

func (t *StitchTask) dirtyAccounts() (dirty []TopicPartition) {
	for p, a := range t.accounts { // order: sorted below
		if a.dirty {
			dirty = append(dirty, p)
		}
	}
	slices.SortFunc(dirty, TopicPartition.Compare)
	return dirty
}
