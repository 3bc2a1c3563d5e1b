package config

import (
	"crypto/tls"
	"fmt"

	"callstitch/internal/credential"
	"callstitch/schemas"
	"callstitch/topology/kafka"
)

// Runtime is the configuration of topology/kafka, with the secrets and certificates that
// are in files, which it reads again when they change. It has no log, no metrics and no
// callback.
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
		Config:         c.Topology(),
		Brokers:        c.Kafka.Brokers,
		Client:         client,
		Registry:       kafka.RegistryConfig{RegistryConfig: registry, AutoRegister: c.Registry.AutoRegister},
		Output:         c.Topics.settings(),
		Start:          c.Start,
		Workers:        c.Workers,
		CommitInterval: c.CommitInterval,
		StartupTimeout: c.StartupTimeout,
		InstanceID:     c.InstanceID,
		StateDir:       c.StateDir,
	}, nil
}

// OutputTopics are the output topics as a start would make them.
func (c *Config) OutputTopics() []kafka.OutputTopic {
	cfg := kafka.Config{Config: c.Topology(), Output: c.Topics.settings()}
	return cfg.OutputTopics()
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

// security opens the files that the configuration names.
func (k *Kafka) security() (kafka.Security, error) {
	s := kafka.Security{Mechanism: k.SASL.Mechanism, Username: k.SASL.Username}
	var err error
	if s.Password, err = passwordOf(k.SASL.PasswordFile); err != nil {
		return s, fmt.Errorf("use kafka.sasl.password_file: %w", err)
	}
	if s.Token, s.Refused, err = k.SASL.OAuth.source(); err != nil {
		return s, fmt.Errorf("use kafka.sasl.oauth: %w", err)
	}
	if !k.TLS.On() {
		return s, nil
	}
	if s.TLS, err = openTLS(k.TLS.files()); err != nil {
		return s, fmt.Errorf("use kafka.tls: %w", err)
	}
	return s, nil
}

// client is the configuration of a registry's client.
func (r *Registry) client() (schemas.RegistryConfig, error) {
	c := schemas.RegistryConfig{URL: r.URL, Username: r.Username}
	var err error
	if c.Password, err = passwordOf(r.PasswordFile); err != nil {
		return c, fmt.Errorf("use schema_registry.password_file: %w", err)
	}
	if c.Token, c.Refused, err = r.OAuth.source(); err != nil {
		return c, fmt.Errorf("use schema_registry.oauth: %w", err)
	}
	if r.files() == (credential.Files{}) {
		return c, nil
	}
	if c.TLS, err = openTLS(r.files()); err != nil {
		return c, fmt.Errorf("use schema_registry: %w", err)
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

// On reports whether connections have TLS: naming a file is enough.
func (t *TLS) On() bool { return t.Enabled || t.files() != (credential.Files{}) }

func (t *TLS) files() credential.Files {
	return credential.Files{CA: t.CAFile, Cert: t.CertFile, Key: t.KeyFile}
}

func (r *Registry) files() credential.Files {
	return credential.Files{CA: r.CAFile, Cert: r.CertFile, Key: r.KeyFile}
}

func openTLS(files credential.Files) (func() *tls.Config, error) {
	certificates, err := credential.Open(files)
	if err != nil {
		return nil, err
	}
	return certificates.Config, nil
}

// passwordOf is nil where no file is named.
func passwordOf(path string) (credential.Source, error) {
	if path == "" {
		return nil, nil
	}
	return credential.FromFile(path)
}

// source is where tokens come from, and who is told of one that was refused, which may be
// nil: a file has what it has. Both are nil where no way is named.
func (o *OAuth) source() (get credential.Source, refused func(token string), err error) {
	switch {
	case o.TokenFile != "":
		get, err = credential.TokenFromFile(o.TokenFile)
		return get, nil, err
	case o.TokenURL != "":
		return o.grant().Open()
	}
	return nil, nil, nil
}

func (o *OAuth) grant() credential.Grant {
	return credential.Grant{
		URL: o.TokenURL, ClientID: o.ClientID, SecretFile: o.ClientSecretFile, Scope: o.Scope, CAFile: o.CAFile,
	}
}
