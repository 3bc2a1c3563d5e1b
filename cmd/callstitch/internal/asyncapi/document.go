// Package asyncapi writes down for other programs what callstitch reads and writes:
// an AsyncAPI document of a configuration.
package asyncapi

import (
	"encoding/json"
	"fmt"
	"strings"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/schemas"
	"callstitch/topology"
	"callstitch/topology/kafka"
)

const (
	specification = "3.0.0"
	bindings      = "0.5.0" // of Kafka
	avroFormat    = "application/vnd.apache.avro;version=1.9.0"
)

// Document is the AsyncAPI document of a configuration, as JSON, which is YAML too: the
// brokers and the registry, a channel for each source and for each output topic, and what
// callstitch does with them. Topics that only callstitch reads are not in it. It holds no
// secret, and connects to nothing. The version is the program's.
func Document(cfg *config.Config, version string) ([]byte, error) {
	t := cfg.Topology()
	d := document{
		AsyncAPI: specification,
		ID:       "urn:callstitch:" + cfg.ApplicationID,
		Info: info{
			Title: cfg.ApplicationID, Version: version,
			Description: "callstitch reads raw events of telephony providers and writes the calls that they tell of. Values of output topics are Avro in Confluent's wire format, but for rejects. Read them with isolation.level=read_committed.",
			License:     license{Name: "Apache-2.0"},
		},
		DefaultContentType: "application/vnd.apache.avro",
		Channels:           map[string]channel{},
		Operations:         map[string]operation{},
		Components:         components{Schemas: map[string]avroSchema{}},
	}
	d.addServers(cfg)
	for _, s := range t.Sources {
		d.addSource(&t, s)
	}
	for _, topic := range cfg.OutputTopics() {
		d.addOutput(&t, topic)
	}
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the AsyncAPI document: %w", err)
	}
	return append(b, '\n'), nil
}

func (d *document) addServers(cfg *config.Config) {
	if len(cfg.Kafka.Brokers) == 0 {
		return
	}
	registry, _, _ := strings.Cut(cfg.Registry.Shown(), ",")
	schemes := securitySchemes(&cfg.Kafka)
	var asked []reference
	for name := range schemes {
		asked = append(asked, refTo("components", "securitySchemes", name)) // of which there is one at most
	}
	d.Components.SecuritySchemes = schemes
	d.Servers = map[string]server{}
	protocol := "kafka"
	if cfg.Kafka.TLS.On() {
		protocol = "kafka-secure"
	}
	for i, broker := range cfg.Kafka.Brokers {
		d.Servers[fmt.Sprintf("broker-%d", i+1)] = server{
			Host: broker, Protocol: protocol, Security: asked,
			Bindings: kafkaBinding{serverBinding{bindings, registry, "confluent"}},
		}
	}
}

// securitySchemes is how one gets in at the brokers: by SASL, else by a certificate.
func securitySchemes(k *config.Kafka) map[string]securityScheme {
	switch k.SASL.Mechanism {
	case "plain":
		return map[string]securityScheme{"sasl": {Type: "plain"}}
	case "scram-sha-256":
		return map[string]securityScheme{"sasl": {Type: "scramSha256"}}
	case "scram-sha-512":
		return map[string]securityScheme{"sasl": {Type: "scramSha512"}}
	case "oauthbearer":
		if k.SASL.OAuth.TokenURL == "" {
			return map[string]securityScheme{"sasl": {Type: "http", Scheme: "bearer"}}
		}
		scopes := map[string]string{}
		for scope := range strings.FieldsSeq(k.SASL.OAuth.Scope) {
			scopes[scope] = ""
		}
		return map[string]securityScheme{"sasl": {
			Type: "oauth2", Flows: &flows{ClientCredentials: flow{TokenURL: k.SASL.OAuth.TokenURL, AvailableScopes: scopes}},
		}}
	}
	if k.TLS.CertFile != "" {
		return map[string]securityScheme{"certificate": {Type: "X509"}}
	}
	return nil
}

// addSource adds a topic that is read. How it is made is not callstitch's business.
func (d *document) addSource(t *topology.Config, s topology.Source) {
	d.Channels[s.Topic] = channel{
		Address:     s.Topic,
		Title:       "Raw events",
		Description: "What providers send, as they sent it. No record may be dated more than an hour ahead of the brokers' clock.",
		Messages:    map[string]message{"raw": rawMessage(s)},
		Bindings:    kafkaBinding{channelBinding{Version: bindings}},
	}
	d.Operations["read-"+s.Topic] = operation{
		Action: "receive", Channel: refTo("channels", s.Topic),
		Summary: "Decodes the events, and joins them to calls.",
		Bindings: kafkaBinding{operationBinding{
			Version: bindings, GroupID: one(t.ApplicationID), ClientID: clientID(t.ApplicationID),
		}},
	}
}

// addOutput adds a topic that is written, as a start makes it.
func (d *document) addOutput(t *topology.Config, topic kafka.OutputTopic) {
	about := described[topic.Sink]
	m := rejectMessage()
	if subject, avro := topic.Sink.Subject(); avro {
		m = d.avroMessage(subject, about.key)
	}
	binding := channelBinding{Version: bindings, Partitions: topic.Partitions, Configuration: configurationOf(topic.Settings)}
	if topic.Replicas > 0 {
		binding.Replicas = topic.Replicas
	}
	d.Channels[topic.Name] = channel{
		Address: topic.Name, Title: about.title, Description: about.is,
		Messages: map[string]message{topic.Sink.String(): m},
		Bindings: kafkaBinding{binding},
	}
	d.Operations["write-"+topic.Name] = operation{
		Action: "send", Channel: refTo("channels", topic.Name),
		Summary:  "Writes records in the transaction that commits what they were made of.",
		Bindings: kafkaBinding{operationBinding{Version: bindings, ClientID: clientID(t.ApplicationID)}},
	}
}

// avroMessage is a record whose schema the registry has under the topic's name.
func (d *document) avroMessage(s schemas.Subject, key keySchema) message {
	d.Components.Schemas[s.String()] = avroSchema{Format: avroFormat, Schema: json.RawMessage(s.Schema())}
	return message{
		Name: s.String(), Payload: refTo("components", "schemas", s.String()),
		Bindings: kafkaBinding{messageBinding{
			Version: bindings, Key: key, IDLocation: "payload", IDEncoding: "confluent", Lookup: "TopicNameStrategy",
		}},
	}
}
