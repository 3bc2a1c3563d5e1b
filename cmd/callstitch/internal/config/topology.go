package config

import (
	"callstitch/processor/call"
	"callstitch/processor/stitch"
	"callstitch/topology"
)

// Topology is the part of the configuration that shapes the answers.
func (c *Config) Topology() topology.Config {
	t := topology.Config{
		ApplicationID:      c.ApplicationID,
		Topics:             c.Topics.names(),
		ExchangePartitions: c.ExchangePartitions,
		Stitch: stitch.Config{
			Grace:             c.Grace,
			UnansweredTimeout: c.UnansweredTimeout,
			AnsweredTimeout:   c.AnsweredTimeout,
			Retention:         c.Retention,
			StubRetention:     c.StubRetention,
			Generation:        c.Generation,
			Partial:           c.Emit.Partial,
			Legs:              c.Emit.Legs,
			Settled:           c.Emit.Settled,
			SettledAfter:      c.Emit.SettledAfter,
		},
	}
	for _, s := range c.Sources {
		source := topology.Source{Topic: s.Topic, Tenant: s.Tenant, Scope: s.Scope, LinkByTag: s.LinkByTag}
		if p, named := call.ParseProvider(s.Provider); named {
			source.Provider = p
		}
		t.Sources = append(t.Sources, source)
	}
	return t
}

// names are the full names of the output topics.
func (t *Topics) names() topology.Topics {
	return topology.Topics{
		Events:   t.Prefix + t.Events.Name,
		Sessions: t.Prefix + t.Sessions.Name,
		Legs:     t.Prefix + t.Legs.Name,
		Settled:  t.Prefix + t.Settled.Name,
		Rejects:  t.Prefix + t.Rejects.Name,
		Audit:    t.Prefix + t.Audit.Name,
	}
}
