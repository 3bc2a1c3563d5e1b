package receive

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"sync"
)

const (
	// connectionsMax is how many clients may be connected: four hundred posts a second
	// that are all held for ten seconds come over no more. Each takes about 30 kB.
	connectionsMax = 4096
	// requestsMax is how many requests may be under way, of which a connection of
	// HTTP/2 has several. A goroutine and its buffers are 20 kB.
	requestsMax = 4096
)

// connectionLimit is how many connections this process can have: half of its
// descriptors, for Kafka and the spool need some too.
func connectionLimit() int {
	if n, known := descriptorsMax(); known {
		return min(connectionsMax, n/2)
	}
	return connectionsMax
}

// connections bounds how many clients are connected. When there are too many, the one
// goes that has been waited for the longest: for its first byte, its next request, or
// the rest of one. So nobody is kept out by clients that only connect, or are slow.
type connections struct {
	max, requestsMax int
	metrics          *metrics

	mu       sync.Mutex
	open     int
	requests int
	waited   list.List // of *connection, the longest first
}

// connection is one client's.
type connection struct {
	net.Conn
	all      *connections
	requests int           // under way
	whole    int           // of them, those whose body is here: an event is being taken
	waiting  *list.Element // in waited; nil while there are whole requests, or it is closed
	closed   bool
}

// listener hands out connections that are counted.
type listener struct {
	net.Listener
	all *connections
}

func (l listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if counted := l.all.add(c); counted != nil {
			return counted, nil
		}
		_ = c.Close()
	}
}

// add counts a connection; nil where there is no room for it.
func (cs *connections) add(c net.Conn) *connection {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.open >= cs.max && !cs.endOne(func(*connection) bool { return true }) {
		cs.metrics.ended.Inc()
		return nil
	}
	counted := &connection{Conn: c, all: cs}
	cs.open++
	cs.metrics.connections.Set(float64(cs.open))
	counted.waiting = cs.waited.PushBack(counted)
	return counted
}

// endOne closes the connection that has been waited for the longest, of those that
// would make room, and reports whether there was one.
func (cs *connections) endOne(makesRoom func(c *connection) bool) bool {
	for e := cs.waited.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*connection); makesRoom(c) {
			cs.forget(c)
			cs.metrics.ended.Inc()
			_ = c.Conn.Close()
			return true
		}
	}
	return false
}

// forget counts a connection, and its requests, no more.
func (cs *connections) forget(c *connection) {
	if c.closed {
		return
	}
	c.closed = true
	cs.open--
	cs.requests -= c.requests
	cs.metrics.connections.Set(float64(cs.open))
	c.waits(false)
}

// waits moves a connection to the end of those waited for, or takes it out.
func (c *connection) waits(yes bool) {
	if c.waiting != nil {
		c.all.waited.Remove(c.waiting)
		c.waiting = nil
	}
	if yes {
		c.waiting = c.all.waited.PushBack(c)
	}
}

// Close closes the connection, once or more.
func (c *connection) Close() error {
	c.all.mu.Lock()
	c.all.forget(c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite ends what is sent and not what is read: so an answer arrives at a client
// that is still sending.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// begin counts a request, and reports whether there is room for it.
func (c *connection) begin() bool {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	hasAnother := func(o *connection) bool { return o != c && o.requests > 0 }
	if c.closed || c.all.requests >= c.all.requestsMax && !c.all.endOne(hasAnother) {
		return false
	}
	c.requests++
	c.all.requests++
	return true
}

// hold says that a request is whole: its connection is not ended now.
func (c *connection) hold() {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.whole++
	c.waits(false)
}

// end says that a request is answered, which was whole or was not.
func (c *connection) end(whole bool) {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.requests--
	if whole {
		c.whole--
	}
	if c.closed {
		return // its requests were counted off with it
	}
	c.all.requests--
	if c.whole == 0 {
		c.waits(true)
	}
}

type connectionKey struct{}

// withConnection is what http.Server.ConnContext is: handlers find their connection.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return context.WithValue(ctx, connectionKey{}, c)
}

func connectionOf(ctx context.Context) *connection {
	return ctx.Value(connectionKey{}).(*connection)
}
