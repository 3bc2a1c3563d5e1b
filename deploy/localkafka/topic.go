package localkafka

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	createTopics     = 19 // api key
	createTopicsV2   = 2  // the oldest version that Kafka 4 speaks, and the last without compact encodings
	topicExists      = 36 // error code
	createTimeout    = 15 * time.Second
	maxCreateAnswer  = 1 << 16
	defaultFromProps = -1 // replication factor: default.replication.factor
)

// CreateTopic creates a topic with default settings; one that exists stays as
// it is. It is the one thing that a person needs from a new broker before the
// first record, and not worth a Kafka client here.
func (c *Cluster) CreateTopic(ctx context.Context, name string, partitions int32) error {
	code, err := c.createTopic(ctx, name, partitions)
	if err != nil {
		return fmt.Errorf("local Kafka: create topic %s: %w", name, err)
	}
	if code != 0 && code != topicExists {
		return fmt.Errorf("local Kafka: create topic %s: Kafka's error code %d", name, code)
	}
	return nil
}

func (c *Cluster) createTopic(ctx context.Context, name string, partitions int32) (code int16, err error) {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.addrs[0])
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return 0, err
	}
	if _, err := conn.Write(createTopicRequest(name, partitions)); err != nil {
		return 0, err
	}
	return readCreated(conn)
}

// createTopicRequest is a CreateTopics request for one topic, framed.
// https://kafka.apache.org/protocol#The_Messages_CreateTopics
func createTopicRequest(name string, partitions int32) []byte {
	be := binary.BigEndian
	b := make([]byte, 4, 64+len(name)) // length, below
	b = be.AppendUint16(b, createTopics)
	b = be.AppendUint16(b, createTopicsV2)
	b = be.AppendUint32(b, 0)      // correlation id
	b = be.AppendUint16(b, 0xffff) // no client id
	b = be.AppendUint32(b, 1)      // topics
	b = appendString(b, name)
	b = be.AppendUint32(b, uint32(partitions))
	b = be.AppendUint16(b, uint16(0x10000+defaultFromProps))
	b = be.AppendUint32(b, 0) // assignments
	b = be.AppendUint32(b, 0) // settings
	b = be.AppendUint32(b, uint32(createTimeout.Milliseconds()))
	b = append(b, 0) // do it, not only validate
	be.PutUint32(b, uint32(len(b)-4))
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// readCreated reads the error code of the only topic in an answer: length,
// correlation id, throttle time, number of topics, name, code, message.
func readCreated(r io.Reader) (int16, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxCreateAnswer {
		return 0, fmt.Errorf("an answer of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return 0, err
	}
	const name = 12 // where the topic's name begins
	if len(b) < name+2 {
		return 0, io.ErrUnexpectedEOF
	}
	code := name + 2 + int(binary.BigEndian.Uint16(b[name:]))
	if len(b) < code+2 {
		return 0, io.ErrUnexpectedEOF
	}
	return int16(binary.BigEndian.Uint16(b[code:])), nil
}
