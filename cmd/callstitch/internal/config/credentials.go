package config

import (
	"context"
	"fmt"

	"callstitch/internal/credential"
)

// Credential is something in a file that clients of brokers and registry prove themselves
// with, or whom they trust.
type Credential struct {
	Key  string // of the configuration
	File string
	Err  error // why the file as it is now cannot be used
	credential.Validity
}

// Credentials are all of them, as their files are now.
func (c *Config) Credentials() (all []Credential) {
	k, r := &c.Kafka, &c.Registry
	all = append(all, secretIn("kafka.sasl.password_file", k.SASL.PasswordFile)...)
	all = append(all, k.SASL.OAuth.credentials("kafka.sasl.oauth")...)
	all = append(all, certificatesIn("kafka.tls", k.TLS.files())...)
	all = append(all, c.Emit.keys()...)
	all = append(all, secretIn("schema_registry.password_file", r.PasswordFile)...)
	all = append(all, r.OAuth.credentials("schema_registry.oauth")...)
	return append(all, certificatesIn("schema_registry", r.files())...)
}

func secretIn(key, path string) []Credential {
	if path == "" {
		return nil
	}
	_, err := credential.FromFile(path)
	return []Credential{{Key: key, File: path, Err: err}}
}

func certificatesIn(group string, files credential.Files) (all []Credential) {
	if files.CA != "" {
		_, valid, err := credential.Files{CA: files.CA}.Validity()
		all = append(all, Credential{group + ".ca_file", files.CA, err, valid})
	}
	if files.Cert != "" {
		valid, _, err := credential.Files{Cert: files.Cert, Key: files.Key}.Validity()
		all = append(all, Credential{group + ".cert_file", files.Cert, err, valid})
	}
	return all
}

func (o *OAuth) credentials(group string) (all []Credential) {
	if o.TokenFile != "" {
		found := Credential{Key: group + ".token_file", File: o.TokenFile}
		get, err := credential.TokenFromFile(o.TokenFile)
		if err == nil {
			token, _ := get(context.Background()) // it was read just now
			found.Until, _ = credential.Ends(token)
		}
		found.Err = err
		all = append(all, found)
	}
	all = append(all, secretIn(group+".client_secret_file", o.ClientSecretFile)...)
	return append(all, certificatesIn(group, credential.Files{CA: o.CAFile})...)
}

// Fetch fetches a token from each endpoint that the configuration names, and reports by
// key why there is none.
func (c *Config) Fetch(ctx context.Context) (found []Credential) {
	for _, at := range []struct {
		group string
		*OAuth
	}{{"kafka.sasl.oauth", &c.Kafka.SASL.OAuth}, {"schema_registry.oauth", &c.Registry.OAuth}} {
		if at.TokenURL == "" {
			continue
		}
		got := Credential{Key: at.group + ".token_url"}
		get, _, err := at.source()
		if err == nil {
			_, err = get(ctx)
		}
		got.Err = err
		found = append(found, got)
	}
	return found
}

// String names the key and the file, and nothing that is in it.
func (c Credential) String() string {
	if c.File == "" {
		return c.Key
	}
	return fmt.Sprintf("%s %s", c.Key, c.File)
}
