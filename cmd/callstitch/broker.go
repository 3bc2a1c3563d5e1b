package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"callstitch/topology"
	"callstitch/topology/kafka"
)

// security reads the secrets and authorities that the configuration names.
func (k *kafkaConfig) security() (kafka.Security, error) {
	s := kafka.Security{
		Mechanism: k.SASL.Mechanism, Username: k.SASL.Username,
		TLS: k.TLS.Enabled || k.TLS.CAFile != "",
	}
	if k.SASL.PasswordFile != "" {
		password, err := os.ReadFile(k.SASL.PasswordFile)
		if err != nil {
			return s, fmt.Errorf("read kafka.sasl.password_file: %w", err)
		}
		s.Password = strings.TrimRight(string(password), "\r\n")
	}
	if k.TLS.CAFile != "" {
		ca, err := os.ReadFile(k.TLS.CAFile)
		if err != nil {
			return s, fmt.Errorf("read kafka.tls.ca_file: %w", err)
		}
		s.CA = ca
	}
	return s, nil
}

// runtime is the configuration of topology/kafka.
func (c *config) runtime(log *slog.Logger, metrics prometheus.Registerer, onCommit func([]topology.Output)) (kafka.Config, error) {
	security, err := c.Kafka.security()
	if err != nil {
		return kafka.Config{}, err
	}
	client, err := security.Options()
	if err != nil {
		return kafka.Config{}, fmt.Errorf("use kafka.sasl and kafka.tls: %w", err)
	}
	return kafka.Config{
		Config:         c.Topology(),
		Brokers:        c.Kafka.Brokers,
		Client:         client,
		Registry:       kafka.RegistryConfig{URL: c.Registry.URL, AutoRegister: c.Registry.AutoRegister},
		Output:         c.Topics.settings(),
		Start:          c.Start,
		Workers:        c.Workers,
		CommitInterval: c.CommitInterval,
		StartupTimeout: c.StartupTimeout,
		InstanceID:     c.InstanceID,
		StateDir:       c.StateDir,
		Log:            log,
		Registerer:     metrics,
		OnCommit:       onCommit,
	}, nil
}

// settings are how topics are made, with each topic's own under its full name.
func (t *topicsConfig) settings() kafka.TopicSettings {
	s := kafka.TopicSettings{
		NoCreate: !t.Create, Partitions: t.Partitions, ReplicationFactor: t.ReplicationFactor,
		PerTopic: map[string]kafka.TopicSettings{},
	}
	for _, o := range t.each() {
		s.PerTopic[t.Prefix+o.Name] = kafka.TopicSettings{
			Partitions: o.Partitions, ReplicationFactor: o.ReplicationFactor, Retention: o.Retention,
		}
	}
	return s
}
