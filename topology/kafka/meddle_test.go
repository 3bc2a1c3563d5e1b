//go:build synctests

package kafka

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"callstitch/topology/topologytest"
)

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
