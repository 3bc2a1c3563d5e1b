package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"callstitch/schemas"
	"callstitch/topology/kafka"
)

// Runtime is the configuration of topology/kafka, with the secrets and authorities
// that are in files. It has no log, no metrics and no callback.
func (c *Config) Runtime() (kafka.Config, error) {
	security, err := c.Kafka.security()
	if err != nil {
		return kafka.Config{}, err
	}
	client, err := security.Options()
	if err != nil {
		return kafka.Config{}, fmt.Errorf("use kafka.sasl and kafka.tls: %w", err)
	}
	registry, err := c.Registry.client()
	if err != nil {
		return kafka.Config{}, err
	}
	return kafka.Config{
		Config:  c.Topology(),
		Brokers: c.Kafka.Brokers,
		Client:  client,
		Registry: kafka.RegistryConfig{
			URL: registry.URL, Username: registry.Username, Password: registry.Password, TLS: registry.TLS,
			AutoRegister: c.Registry.AutoRegister,
		},
		Output:         c.Topics.settings(),
		Start:          c.Start,
		Workers:        c.Workers,
		CommitInterval: c.CommitInterval,
		StartupTimeout: c.StartupTimeout,
		InstanceID:     c.InstanceID,
		StateDir:       c.StateDir,
	}, nil
}

// settings are how topics are made, with each topic's own under its full name.
func (t *Topics) settings() kafka.TopicSettings {
	s := kafka.TopicSettings{
		NoCreate: !t.Create, Partitions: t.Partitions, ReplicationFactor: t.ReplicationFactor, MinISR: t.MinISR,
		PerTopic: map[string]kafka.TopicSettings{},
	}
	for _, o := range t.each() {
		s.PerTopic[t.Prefix+o.Name] = kafka.TopicSettings{
			Partitions: o.Partitions, ReplicationFactor: o.ReplicationFactor, MinISR: o.MinISR, Retention: o.Retention,
		}
	}
	return s
}

// security reads the secrets and authorities that the configuration names.
func (k *Kafka) security() (kafka.Security, error) {
	password, err := readSecret(k.SASL.PasswordFile)
	if err != nil {
		return kafka.Security{}, err
	}
	ca, err := readOptional(k.TLS.CAFile)
	if err != nil {
		return kafka.Security{}, err
	}
	return kafka.Security{
		Mechanism: k.SASL.Mechanism, Username: k.SASL.Username, Password: password,
		TLS: k.TLS.Enabled || ca != nil, CA: ca,
	}, nil
}

// client is the configuration of a registry's client.
func (r *Registry) client() (schemas.RegistryConfig, error) {
	c := schemas.RegistryConfig{URL: r.URL, Username: r.Username}
	var err error
	if c.Password, err = readSecret(r.PasswordFile); err != nil {
		return c, err
	}
	ca, err := readOptional(r.CAFile)
	if err != nil || ca == nil {
		return c, err
	}
	c.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	if !c.TLS.RootCAs.AppendCertsFromPEM(ca) {
		return c, fmt.Errorf("schema_registry.ca_file %s holds no PEM certificate", r.CAFile)
	}
	return c, nil
}

// Open is a client of the registry; it has not connected yet.
func (r *Registry) Open() (*schemas.Registry, error) {
	c, err := r.client()
	if err != nil {
		return nil, err
	}
	return schemas.NewRegistry(c)
}

// Shown is the registry's address without the credentials that it may hold.
func (r *Registry) Shown() string { return schemas.RegistryConfig{URL: r.URL}.Shown() }

// readOptional is a file's content, nil where no file is named.
func readOptional(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	return os.ReadFile(path)
}

// readSecret is a file's content without the line end that editors put there.
func readSecret(path string) (string, error) {
	secret, err := readOptional(path)
	return strings.TrimRight(string(secret), "\r\n"), err
}
