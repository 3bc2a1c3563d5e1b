package localkafka

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

//go:embed log4j2.xml
var log4j []byte

// clusterID is the same for every cluster, so that nodes of a directory that
// was left half formatted still belong together.
const clusterID = "Y2FsbHN0aXRjaC1sb2NhbA"

// started is what a broker says last when it serves.
const started = "Kafka Server started"

// node is one Kafka node, broker and controller in one.
type node struct {
	id         int // from 1
	broker     int // port
	controller int // port
	listeners  []int
	voters     string
	nodes      int
}

// layOut gives every node its ports.
func layOut(o Options, s *slot) ([]node, error) {
	nodes := make([]node, o.Brokers)
	voters := make([]string, o.Brokers)
	for i := range nodes {
		n := &nodes[i]
		n.id, n.nodes = i+1, o.Brokers
		var err error
		if n.broker, err = s.port(following(o.Port, i), i); err != nil {
			return nil, err
		}
		if n.controller, err = s.port(following(o.Port, o.Brokers+i), maxBrokers+i); err != nil {
			return nil, err
		}
		for k := range o.Listeners {
			port, err := s.port(0, (1+k)*o.Brokers+i)
			if err != nil {
				return nil, err
			}
			n.listeners = append(n.listeners, port)
		}
		voters[i] = fmt.Sprintf("%d@%s", n.id, address(n.controller))
	}
	for i := range nodes {
		nodes[i].voters = strings.Join(voters, ",")
	}
	return nodes, nil
}

// following is the i-th port after a chosen first one; 0 when none was chosen.
func following(first, i int) int {
	if first == 0 {
		return 0
	}
	return first + i
}

func (n node) addr() string { return address(n.broker) }

// prepare writes the node's files and returns its process, not yet started.
func (n node) prepare(dir, java, jars string, o Options) (*process, error) {
	dir = filepath.Join(dir, "broker-"+strconv.Itoa(n.id))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("local Kafka: prepare broker %d: %w", n.id, err)
	}
	properties := n.properties(dir, o)
	for name, content := range map[string][]byte{"server.properties": properties, "log4j2.xml": log4j} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return nil, fmt.Errorf("local Kafka: prepare broker %d: %w", n.id, err)
		}
	}
	os.Remove(filepath.Join(dir, "pid")) // of a machine that lost its power
	args := []string{
		java, "-Xmx1g", "-XX:-UsePerfData", "-Djava.io.tmpdir=tmp",
		"-Dlog4j2.configurationFile=log4j2.xml",
	}
	if !o.LongLived {
		args = append(args, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
	}
	args = append(append(args, o.JVM...), "-cp", filepath.Join(jars, "*"), "kafka.Kafka", "server.properties")
	ready := func(log []byte) bool { return bytes.Contains(log, []byte(started)) }
	return &process{name: fmt.Sprintf("broker %d", n.id), dir: dir, args: args, ready: ready}, nil
}

// format writes the identity of p's data directory if it is new; an old one keeps its own.
func (n node) format(ctx context.Context, p *process, java, jars string) error {
	if exists(filepath.Join(p.dir, "data", "meta.properties")) {
		return nil
	}
	log, err := os.Create(p.log())
	if err != nil {
		return fmt.Errorf("local Kafka: format the data directory of %s: %w", p.name, err)
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData",
		"-Dlog4j2.configurationFile=log4j2.xml", "-cp", filepath.Join(jars, "*"),
		"kafka.tools.StorageTool", "format", "-t", clusterID, "-c", "server.properties")
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("local Kafka: format the data directory of %s: %w\n%s", p.name, err, p.logTail())
	}
	return nil
}

// properties is the node's server.properties: what one machine's cluster
// needs, then the caller's over it. Everything that is not here has Kafka's
// default, above all what transactions and timestamps do.
func (n node) properties(dir string, o Options) []byte {
	replicas, inSync := "1", "1"
	if n.nodes >= 3 {
		replicas, inSync = "3", "2"
	}
	props := map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        strconv.Itoa(n.id),
		"controller.quorum.voters":       n.voters,
		"controller.listener.names":      "CONTROLLER",
		"listeners":                      "PLAINTEXT://" + n.addr() + ",CONTROLLER://" + address(n.controller),
		"advertised.listeners":           "PLAINTEXT://" + n.addr(),
		"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"log.dirs":                       filepath.Join(dir, "data"),

		// Simulated traffic has its date in the past, where by default the broker
		// deletes it within minutes.
		"log.retention.ms": "-1",

		// A client that misspells a topic should hear of it.
		"auto.create.topics.enable": "false",

		// Fewer internal partitions than 50 start sooner and behave the same.
		"offsets.topic.num.partitions":                     "8",
		"transaction.state.log.num.partitions":             "8",
		"default.replication.factor":                       replicas,
		"min.insync.replicas":                              inSync,
		"offsets.topic.replication.factor":                 replicas,
		"transaction.state.log.replication.factor":         replicas,
		"transaction.state.log.min.isr":                    inSync,
		"share.coordinator.state.topic.replication.factor": replicas,
		"share.coordinator.state.topic.min.isr":            inSync,

		// A group forms at once, and may have a session of a second.
		"group.initial.rebalance.delay.ms": "0",
		"group.min.session.timeout.ms":     "1000",
	}
	for i, l := range o.Listeners {
		name := strings.ToUpper(l.Name)
		at := "," + name + "://" + address(n.listeners[i])
		props["listeners"] += at
		props["advertised.listeners"] += at
		props["listener.security.protocol.map"] += "," + name + ":" + l.Protocol
	}
	maps.Copy(props, o.Props)
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(props)) {
		if props[name] != "" {
			fmt.Fprintf(&b, "%s=%s\n", name, props[name])
		}
	}
	return b.Bytes()
}
