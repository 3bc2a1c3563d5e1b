package localkafka

import (
	"context"
	"sync"
	"testing"
	"time"
)

// sharedTimeout bounds the start of a shared cluster, download and all.
const sharedTimeout = 5 * time.Minute

var shared = sync.OnceValues(func() (*Cluster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), sharedTimeout)
	defer cancel()
	return Start(ctx, Options{Props: patient})
})

// patient keeps the controller from fencing a lone broker that only waits for a
// busy machine: then nobody would lead anything. A killed broker could register
// again only after that time, but this one is never killed.
var patient = map[string]string{"broker.session.timeout.ms": "60000"}

// Shared is one broker for all the tests of a test binary, started by the
// first that asks. It ends with the binary, so tests give their topics and
// groups names of their own, and those that kill brokers start a cluster
// themselves. A failed test shows the end of the broker's log, and the logs stay.
//
// Where it cannot start the test fails: a suite that skips its broker looks
// green and proves nothing.
func Shared(t testing.TB) *Cluster {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	c.ShowOnFailure(t)
	return c
}

// SharedRegistry is the URL of the shared cluster's registry.
func SharedRegistry(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), sharedTimeout)
	defer cancel()
	url, err := Shared(t).StartRegistry(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// ForTest starts a cluster that belongs to one test and is stopped at its end.
func ForTest(t testing.TB, o Options) *Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), sharedTimeout)
	defer cancel()
	c, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Errorf("stop the cluster: %v", err)
		}
	})
	c.ShowOnFailure(t)
	return c
}

// FreeAddresses are n addresses of this machine at which nothing listens, for the programs
// that a test starts. They are the test's until it ends: no other test that asks here gets
// them, and no outgoing connection has their ports, also while a program is started again.
func FreeAddresses(t testing.TB, n int) []string {
	t.Helper()
	if n > slotPorts {
		t.Fatalf("%d addresses are asked for, %d at most", n, slotPorts)
	}
	s, err := takeSlot()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.release)
	addresses := make([]string, n)
	for i := range addresses {
		addresses[i] = address(s.base + i)
	}
	return addresses
}

// ShowOnFailure shows the end of the brokers' logs if the test fails, and
// keeps the logs.
func (c *Cluster) ShowOnFailure(t testing.TB) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		if !c.keep {
			c.reaper.tell(keepLogs)
		}
		for i := range c.brokers {
			t.Log(c.LogTail(i))
		}
	})
}
