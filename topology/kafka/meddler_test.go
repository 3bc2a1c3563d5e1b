package kafka

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// meddling is what happens to a request of a kind, or to its answer.
type meddling uint8

const (
	pass    meddling = iota
	cut              // the connection breaks instead
	replace          // the answer is UNKNOWN_SERVER_ERROR, whatever the broker did
	silence          // neither this answer nor a later one of the connection arrives, and it stays open
	delay            // the answer takes its time
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

// slowness is by how much a slow answer is late.
const slowness = 50 * time.Millisecond

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
	case silence:
		_, err := io.Copy(io.Discard, c.Conn) // until the client has waited for long enough
		return cmp.Or(err, io.EOF)
	case delay:
		time.Sleep(slowness)
	case replace: // behind correlation id, tags and throttle time
		binary.BigEndian.PutUint16(frame[13:], uint16(kerr.UnknownServerError.Code))
	}
	c.rest = frame
	return nil
}
