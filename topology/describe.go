package topology

import (
	"fmt"
	"strconv"
	"strings"
)

// NodeKind is what a node of the topology does.
type NodeKind uint8

// The kinds of node, in Kafka Streams' words.
const (
	SourceNode NodeKind = iota
	ProcessorNode
	SinkNode
)

// Node is one node of the topology.
type Node struct {
	Kind   NodeKind
	Name   string
	Topics []string // of a source or sink
	Stores []string // of a processor
	To     []string // names of the nodes that follow
}

// Description is a drawing of the application's topology: its sub-topologies in order, each
// with its nodes. Within a sub-topology records pass by function call, between
// them through a topic.
type Description [][]Node

// Describe draws the topology. The runtimes do not read the drawing; a test holds it
// against the topics that they write.
func Describe(cfg *Config) Description {
	var d Description
	decode := []Node{
		{Kind: SourceNode, Name: "raw-source", To: []string{"decode"}},
		{Kind: ProcessorNode, Name: "decode", To: []string{"exchange-sink", "decode-rejects-sink"}},
		{Kind: SinkNode, Name: "exchange-sink", Topics: []string{cfg.ExchangeTopic()}},
		{Kind: SinkNode, Name: "decode-rejects-sink", Topics: []string{cfg.Topics.Rejects}},
	}
	for _, s := range cfg.Sources {
		decode[0].Topics = append(decode[0].Topics, s.Topic)
	}
	stitch := []Node{
		{Kind: SourceNode, Name: "exchange-source", Topics: []string{cfg.ExchangeTopic()}, To: []string{"stitch"}},
		{Kind: ProcessorNode, Name: "stitch", Stores: []string{"stitch"}},
	}
	sink := func(name, topic string) {
		stitch[1].To = append(stitch[1].To, name)
		stitch = append(stitch, Node{Kind: SinkNode, Name: name, Topics: []string{topic}})
	}
	sink("messages-sink", cfg.ExchangeTopic())
	for _, s := range cfg.Sinks() {
		name := s.String() + "-sink"
		if s == Rejects {
			name = "stitch-" + name // decode has one too
		}
		sink(name, cfg.Topics.Topic(s))
	}
	return append(d, decode, stitch)
}

// String is the description in Kafka Streams' text form, which its viewers
// read.
func (d Description) String() string {
	var b strings.Builder
	b.WriteString("Topologies:\n")
	for i, nodes := range d {
		fmt.Fprintf(&b, "   Sub-topology: %d\n", i)
		for _, n := range nodes {
			writeNode(&b, n, from(nodes, n.Name))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func writeNode(b *strings.Builder, n Node, from []string) {
	switch n.Kind {
	case SourceNode:
		fmt.Fprintf(b, "    Source: %s (topics: [%s])\n", n.Name, strings.Join(n.Topics, ", "))
	case ProcessorNode:
		fmt.Fprintf(b, "    Processor: %s (stores: [%s])\n", n.Name, strings.Join(n.Stores, ", "))
	case SinkNode:
		fmt.Fprintf(b, "    Sink: %s (topic: %s)\n", n.Name, n.Topics[0])
	}
	if n.Kind != SinkNode {
		fmt.Fprintf(b, "      --> %s\n", names(n.To))
	}
	if n.Kind != SourceNode {
		fmt.Fprintf(b, "      <-- %s\n", names(from))
	}
}

func names(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// from lists the nodes that pass records to the one that is named.
func from(nodes []Node, name string) (list []string) {
	for _, n := range nodes {
		for _, to := range n.To {
			if to == name {
				list = append(list, n.Name)
			}
		}
	}
	return list
}

// vertex is something in the picture: a node, a topic, or a store. The three
// have names of their own, and a topic may well be called decode.
type vertex struct {
	kind vertexKind
	name string
}

type vertexKind uint8

const (
	nodeVertex vertexKind = iota
	topicVertex
	storeVertex
)

// edges visits every arrow of the picture.
func (d Description) edges(visit func(from, to vertex)) {
	for _, nodes := range d {
		for _, n := range nodes {
			self := vertex{nodeVertex, n.Name}
			for _, topic := range n.Topics {
				if n.Kind == SourceNode {
					visit(vertex{topicVertex, topic}, self)
				} else {
					visit(self, vertex{topicVertex, topic})
				}
			}
			for _, store := range n.Stores {
				visit(self, vertex{storeVertex, store})
			}
			for _, to := range n.To {
				visit(self, vertex{nodeVertex, to})
			}
		}
	}
}

// topics lists every topic once, in the order of the description.
func (d Description) topics() (list []string) {
	seen := map[string]bool{}
	for _, nodes := range d {
		for _, n := range nodes {
			for _, topic := range n.Topics {
				if !seen[topic] {
					seen[topic] = true
					list = append(list, topic)
				}
			}
		}
	}
	return list
}

// numbering gives each vertex a short identifier, since names of topics hold
// characters that the languages of pictures do not take in one.
func numbering() func(vertex) string {
	ids := map[vertex]string{}
	return func(v vertex) string {
		if ids[v] == "" {
			ids[v] = "n" + strconv.Itoa(len(ids))
		}
		return ids[v]
	}
}

// Mermaid is the description as a Mermaid flow chart.
func (d Description) Mermaid() string {
	var b strings.Builder
	id := numbering()
	b.WriteString("flowchart LR\n")
	for _, topic := range d.topics() {
		fmt.Fprintf(&b, "  %s[[\"%s\"]]\n", id(vertex{topicVertex, topic}), topic)
	}
	for i, nodes := range d {
		fmt.Fprintf(&b, "  subgraph sub%d[\"Sub-topology: %d\"]\n", i, i)
		for _, n := range nodes {
			fmt.Fprintf(&b, "    %s(\"%s\")\n", id(vertex{nodeVertex, n.Name}), n.Name)
			for _, store := range n.Stores {
				fmt.Fprintf(&b, "    %s[(\"%s\")]\n", id(vertex{storeVertex, store}), store)
			}
		}
		b.WriteString("  end\n")
	}
	d.edges(func(from, to vertex) { fmt.Fprintf(&b, "  %s --> %s\n", id(from), id(to)) })
	return b.String()
}

// DOT is the description for Graphviz.
func (d Description) DOT() string {
	var b strings.Builder
	id := numbering()
	b.WriteString("digraph callstitch {\n  rankdir=LR\n  node [fontname=\"sans-serif\"]\n")
	for _, topic := range d.topics() {
		fmt.Fprintf(&b, "  %s [label=%q, shape=cds]\n", id(vertex{topicVertex, topic}), topic)
	}
	for i, nodes := range d {
		fmt.Fprintf(&b, "  subgraph cluster_%d {\n    label=\"Sub-topology: %d\"\n", i, i)
		for _, n := range nodes {
			fmt.Fprintf(&b, "    %s [label=%q, shape=box, style=rounded]\n", id(vertex{nodeVertex, n.Name}), n.Name)
			for _, store := range n.Stores {
				fmt.Fprintf(&b, "    %s [label=%q, shape=cylinder]\n", id(vertex{storeVertex, store}), store)
			}
		}
		b.WriteString("  }\n")
	}
	d.edges(func(from, to vertex) { fmt.Fprintf(&b, "  %s -> %s\n", id(from), id(to)) })
	b.WriteString("}\n")
	return b.String()
}
