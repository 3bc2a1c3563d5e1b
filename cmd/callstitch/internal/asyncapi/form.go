package asyncapi

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// The objects of an AsyncAPI document, as far as this one has them, under their names there.

type document struct {
	AsyncAPI           string               `json:"asyncapi"`
	ID                 string               `json:"id"`
	Info               info                 `json:"info"`
	DefaultContentType string               `json:"defaultContentType"`
	Servers            map[string]server    `json:"servers,omitempty"`
	Channels           map[string]channel   `json:"channels"`
	Operations         map[string]operation `json:"operations"`
	Components         components           `json:"components"`
}

type info struct {
	Title       string  `json:"title"`
	Version     string  `json:"version"`
	Description string  `json:"description"`
	License     license `json:"license"`
}

type license struct {
	Name string `json:"name"`
}

type server struct {
	Host     string       `json:"host"`
	Protocol string       `json:"protocol"`
	Security []reference  `json:"security,omitempty"`
	Bindings kafkaBinding `json:"bindings"`
}

type channel struct {
	Address     string             `json:"address"`
	Title       string             `json:"title"`
	Description string             `json:"description"`
	Messages    map[string]message `json:"messages"`
	Bindings    kafkaBinding       `json:"bindings"`
}

type operation struct {
	Action   string       `json:"action"` // of callstitch: it receives, or sends
	Channel  reference    `json:"channel"`
	Summary  string       `json:"summary"`
	Bindings kafkaBinding `json:"bindings"`
}

type message struct {
	Name        string       `json:"name"`
	Summary     string       `json:"summary,omitempty"`
	ContentType string       `json:"contentType,omitempty"`
	Headers     *object      `json:"headers,omitempty"`
	Payload     any          `json:"payload,omitempty"`
	Bindings    kafkaBinding `json:"bindings"`
}

type components struct {
	Schemas         map[string]avroSchema     `json:"schemas"`
	SecuritySchemes map[string]securityScheme `json:"securitySchemes,omitempty"`
}

type avroSchema struct {
	Format string          `json:"schemaFormat"`
	Schema json.RawMessage `json:"schema"`
}

type securityScheme struct {
	Type   string `json:"type"`
	Scheme string `json:"scheme,omitempty"`
	Flows  *flows `json:"flows,omitempty"`
}

type flows struct {
	ClientCredentials flow `json:"clientCredentials"`
}

type flow struct {
	TokenURL        string            `json:"tokenUrl"`
	AvailableScopes map[string]string `json:"availableScopes"`
}

// kafkaBinding is what an object is at Kafka.
type kafkaBinding struct {
	Kafka any `json:"kafka"`
}

type serverBinding struct {
	Version  string `json:"bindingVersion"`
	Registry string `json:"schemaRegistryUrl"`
	Vendor   string `json:"schemaRegistryVendor"` // whose API it speaks
}

type channelBinding struct {
	Version       string         `json:"bindingVersion"`
	Partitions    int32          `json:"partitions,omitempty"`
	Replicas      int16          `json:"replicas,omitempty"`
	Configuration map[string]any `json:"topicConfiguration,omitempty"`
}

type operationBinding struct {
	Version  string     `json:"bindingVersion"`
	GroupID  *keySchema `json:"groupId,omitempty"`
	ClientID *keySchema `json:"clientId,omitempty"`
}

type messageBinding struct {
	Version    string    `json:"bindingVersion"`
	Key        keySchema `json:"key"`
	IDLocation string    `json:"schemaIdLocation,omitempty"`
	IDEncoding string    `json:"schemaIdPayloadEncoding,omitempty"`
	Lookup     string    `json:"schemaLookupStrategy,omitempty"`
}

// object is a JSON schema of an object; properties that it does not name may be there, too.
type object struct {
	Type       string               `json:"type"`
	Required   []string             `json:"required,omitempty"`
	Properties map[string]keySchema `json:"properties"`
}

// keySchema is a JSON schema of a word: a key, a header, an id.
type keySchema struct {
	Type        string   `json:"type"`
	Description string   `json:"description,omitempty"`
	Enum        []string `json:"enum,omitempty"`
	Pattern     string   `json:"pattern,omitempty"`
	Default     string   `json:"default,omitempty"`
}

type reference struct {
	Ref string `json:"$ref"`
}

// refTo is a reference to an object of the document.
func refTo(path ...string) reference { return reference{"#/" + strings.Join(path, "/")} }

// one is the schema of one word.
func one(word string) *keySchema { return &keySchema{Type: "string", Enum: []string{word}} }

// clientID is how instances call themselves.
func clientID(application string) *keySchema {
	return &keySchema{Type: "string", Pattern: "^" + regexp.QuoteMeta(application) + "-.+-0$"}
}

// configurationOf is a topic's settings in the types that the binding has for them.
func configurationOf(settings map[string]string) map[string]any {
	typed := map[string]any{}
	for name, value := range settings {
		switch n, err := strconv.ParseInt(value, 10, 64); {
		case name == "cleanup.policy":
			typed[name] = strings.Split(value, ",")
		case err == nil:
			typed[name] = n
		default:
			typed[name] = value
		}
	}
	return typed
}
