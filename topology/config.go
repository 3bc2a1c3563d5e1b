package topology

import (
	"callstitch/processor/call"
	"callstitch/processor/number"
	"callstitch/processor/stitch"
)

// Source is a raw topic and what is known of its records. Record headers
// override it.
type Source struct {
	Topic     string
	Provider  call.Provider // NoProvider: headers, else the shape decide
	Tenant    string        // empty: headers, else "default"
	Scope     string        // tells apart servers whose call ids may collide; normally empty
	LinkByTag bool          // a tag of the customer's own joins legs, where the provider has one
}

// Topics are the full names of the output topics.
type Topics struct {
	Events, Sessions, Legs, Settled, Rejects, Audit string
}

// Config is everything that shapes the answers. Two runtimes with equal
// configurations give equal sessions for equal input.
type Config struct {
	ApplicationID      string
	Sources            []Source
	Topics             Topics
	ExchangePartitions int32 // at least 1; fixed for the life of the application
	Stitch             stitch.Config
	Numbers            number.Form // how outputs show numbers; nothing else depends on it
}

// SourceOf is the source of a topic. One that is not among the sources is taken
// as the first of them is.
func (c *Config) SourceOf(topic string) Source {
	for _, s := range c.Sources {
		if s.Topic == topic {
			return s
		}
	}
	var s Source
	if len(c.Sources) > 0 {
		s = c.Sources[0]
	}
	s.Topic = topic
	return s
}

// ExchangeTopic is the repartition topic, named as Kafka Streams names them.
func (c *Config) ExchangeTopic() string { return c.ApplicationID + "-exchange-repartition" }

// ChangelogTopic is the topic that holds the stitch tasks' state.
func (c *Config) ChangelogTopic() string { return c.ApplicationID + "-stitch-changelog" }
