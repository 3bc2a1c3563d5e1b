//go:build synctests

package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/topology/topologytest"
)

// meddling is what happens to a request of a kind, or to its answer.
type meddling uint8

const (
	pass    meddling = iota
	cut              // the connection breaks instead
	replace          // the answer is UNKNOWN_SERVER_ERROR, whatever the broker did
)

// meddler stands between clients and brokers and knows Kafka's frames.
type meddler struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	plan func(key kmsg.Key, answer bool) meddling
}

func (m *meddler) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := m.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &meddledConn{Conn: c, plan: m.plan, keys: map[uint32]kmsg.Key{}}, nil
}

type meddledConn struct {
	net.Conn
	plan func(kmsg.Key, bool) meddling

	mu   sync.Mutex
	keys map[uint32]kmsg.Key // by correlation id
	rest []byte              // of the answer that is being read
}

var errCut = errors.New("the connection was cut")

func (c *meddledConn) Write(b []byte) (int, error) {
	key := kmsg.Key(binary.BigEndian.Uint16(b[4:]))
	if c.plan(key, false) == cut {
		c.Close()
		return 0, errCut
	}
	c.mu.Lock()
	c.keys[binary.BigEndian.Uint32(b[8:])] = key
	c.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *meddledConn) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// next reads one answer.
func (c *meddledConn) next() error {
	var size [4]byte
	if _, err := io.ReadFull(c.Conn, size[:]); err != nil {
		return err
	}
	frame := make([]byte, 4+binary.BigEndian.Uint32(size[:]))
	copy(frame, size[:])
	if _, err := io.ReadFull(c.Conn, frame[4:]); err != nil {
		return err
	}
	c.mu.Lock()
	key := c.keys[binary.BigEndian.Uint32(frame[4:])]
	c.mu.Unlock()
	switch c.plan(key, true) {
	case cut:
		c.Close()
		return errCut
	case replace: // behind correlation id, tags and throttle time
		binary.BigEndian.PutUint16(frame[13:], uint16(kerr.UnknownServerError.Code))
	}
	c.rest = frame
	return nil
}

// TestLostAnswers breaks connections, and falsifies the answers to commits, at
// the steps where it is then unknown what the broker did.
func TestLostAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		key    kmsg.Key
		answer bool
		what   meddling
	}{
		"EndTxn not sent":             {kmsg.EndTxn, false, cut},
		"EndTxn not answered":         {kmsg.EndTxn, true, cut},
		"EndTxn answered wrongly":     {kmsg.EndTxn, true, replace},
		"TxnOffsetCommit not sent":    {kmsg.TxnOffsetCommit, false, cut},
		"TxnOffsetCommit no answer":   {kmsg.TxnOffsetCommit, true, cut},
		"Produce not answered":        {kmsg.Produce, true, cut},
		"InitProducerID not answered": {kmsg.InitProducerID, true, cut},
		"Heartbeat not answered":      {kmsg.Heartbeat, true, cut},
		"OffsetFetch not answered":    {kmsg.OffsetFetch, true, cut},
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T, _ *kfake.Cluster, cfg Config) {
				lostAnswers(t, cfg, c.key, c.answer, c.what)
			})
		})
	}
}

func lostAnswers(t *testing.T, cfg Config, key kmsg.Key, answer bool, what meddling) {
	var next, done atomic.Int64 // meddle with the next, counted
	m := &meddler{dial: dialOf(t, cfg), plan: func(k kmsg.Key, a bool) meddling {
		if k == key && a == answer && next.Add(-1) >= 0 {
			done.Add(1)
			return what
		}
		return pass
	}}
	records := topologytest.Calls(15, 60, 20*time.Second).Shuffle(15, 4, 2*time.Second, 0.2)
	want := inMemory(t, records).Canonical()
	own := cfg
	own.Workers = 2
	own.Client = []kgo.Opt{kgo.Dialer(m.DialContext)}
	r := startRun(t, own)
	const rounds = 6
	share := len(records)/rounds + 1
	for i := range rounds {
		feed(t, cfg, records[min(i*share, len(records)):min((i+1)*share, len(records))])
		time.Sleep(time.Duration(50*i) * time.Millisecond)
		next.Store(int64(1 + i%3))
		time.Sleep(8 * time.Second)
		next.Store(0)
	}
	newCollector().awaitCommitted(t, cfg, want, time.Minute)
	awaitBooks(t, cfg, len(records), time.Minute)
	if done.Load() == 0 && key != kmsg.InitProducerID {
		t.Error("nothing was meddled with")
	}
	if err := r.stop(t); err != nil {
		t.Error(err)
	}
}

// dialOf is the way to the virtual network that a configuration uses.
func dialOf(t *testing.T, cfg Config) func(ctx context.Context, network, address string) (net.Conn, error) {
	t.Helper()
	cl := client(t, cfg)
	defer cl.Close()
	return cl.OptValue(kgo.Dialer).(func(context.Context, string, string) (net.Conn, error))
}
