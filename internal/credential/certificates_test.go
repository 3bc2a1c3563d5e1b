package credential

import (
	"cmp"
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callstitch/internal/credential/credentialtest"
)

// TestRotatedCertificates has a server that trusts one authority, and then another; so
// does the client, whose certificate is exchanged with that.
func TestRotatedCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := inDir(t)
		one, two := credentialtest.NewAuthority(t, "one"), credentialtest.NewAuthority(t, "two")
		install(t, files, one, time.Hour)
		c, err := Open(files)
		if err != nil {
			t.Fatal(err)
		}
		before := c.Config()
		if who, err := shake(t, c.Config(), one); err != nil || who != "app" {
			t.Errorf("got %q, %v", who, err)
		}
		if _, err := shake(t, c.Config(), two); err == nil {
			t.Error("a server that nobody trusts was talked to")
		}
		time.Sleep(time.Minute)
		if c.Config() != before {
			t.Error("another configuration of the same files")
		}

		// A certificate without its key yet changes nothing.
		cert, key := two.Issue(t, "app", time.Now().Add(time.Hour))
		credentialtest.Write(t, files.Cert, cert)
		time.Sleep(2 * time.Second)
		if c.Config() != before {
			t.Error("half a rotation was taken")
		}
		credentialtest.Write(t, files.Key, key)
		credentialtest.Write(t, files.CA, two.PEM)
		time.Sleep(2 * time.Second)
		if who, err := shake(t, c.Config(), two); err != nil || who != "app" {
			t.Errorf("after the rotation: got %q, %v", who, err)
		}
		if _, err := shake(t, c.Config(), one); err == nil {
			t.Error("the old authority is trusted on")
		}
	})
}

func inDir(t *testing.T) Files {
	dir := t.TempDir()
	return Files{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
}

func install(t *testing.T, files Files, a *credentialtest.Authority, life time.Duration) {
	t.Helper()
	cert, key := a.Issue(t, "app", time.Now().Add(life))
	credentialtest.Write(t, files.CA, a.PEM)
	credentialtest.Write(t, files.Cert, cert)
	credentialtest.Write(t, files.Key, key)
}

// shake is a handshake of a client with a server of an authority, and whom the server saw.
func shake(t *testing.T, client *tls.Config, a *credentialtest.Authority) (who string, err error) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", a.Server(t, tls.RequireAndVerifyClientCert))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	done := make(chan error)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			defer conn.Close()
			server := conn.(*tls.Conn)
			if err = server.Handshake(); err == nil {
				who = server.ConnectionState().PeerCertificates[0].Subject.CommonName
			}
		}
		done <- err
	}()
	conn, err := tls.Dial("tcp", listener.Addr().String(), client)
	if err == nil {
		defer conn.Close()
	}
	return who, cmp.Or(<-done, err)
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	a := credentialtest.NewAuthority(t, "one")
	cert, key := a.Issue(t, "app", time.Now().Add(time.Hour))
	_, other := a.Issue(t, "app", time.Now().Add(time.Hour))
	write := func(f *string, content string) { credentialtest.Write(t, *f, []byte(content)) }
	for name, test := range map[string]struct {
		damage func(*Files)
		names  func(Files) string
		says   string
	}{
		"nothing":                {func(*Files) {}, nil, ""},
		"another key":            {func(f *Files) { write(&f.Key, string(other)) }, func(f Files) string { return f.Key }, "no PEM key of the certificate in"},
		"no key":                 {func(f *Files) { write(&f.Key, "hush") }, func(f Files) string { return f.Key }, "no PEM key"},
		"a key with passphrase":  {func(f *Files) { write(&f.Key, strings.ReplaceAll(string(key), "PRIVATE", "ENCRYPTED PRIVATE")) }, func(f Files) string { return f.Key }, "openssl pkey"},
		"no certificate":         {func(f *Files) { write(&f.Cert, string(key)) }, func(f Files) string { return f.Cert }, "no PEM certificate"},
		"half a certificate":     {func(f *Files) { write(&f.Cert, string(cert[:len(cert)/2])) }, func(f Files) string { return f.Cert }, "no PEM certificate"},
		"no authority":           {func(f *Files) { write(&f.CA, "hush") }, func(f Files) string { return f.CA }, "no PEM certificate"},
		"a file that is not:key": {func(f *Files) { os.Remove(f.Key) }, func(f Files) string { return f.Key }, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			files := inDir(t)
			credentialtest.Write(t, files.CA, a.PEM)
			credentialtest.Write(t, files.Cert, cert)
			credentialtest.Write(t, files.Key, key)
			test.damage(&files)
			_, err := Open(files)
			if test.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), test.names(files)) || strings.Contains(err.Error(), "hush") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestEndOfCertificates(t *testing.T) {
	files := inDir(t)
	a := credentialtest.NewAuthority(t, "one")
	install(t, files, a, -time.Hour)
	cert, authorities, err := files.Validity()
	if err != nil || time.Until(cert.Until) > 0 || time.Until(authorities.Until) < 23*time.Hour || !cert.From.Before(cert.Until) {
		t.Errorf("got %v, %v, %v", cert, authorities, err)
	}
	if _, err := Open(files); err != nil {
		t.Errorf("a certificate that has ended is for the other side to refuse: %v", err)
	}
	cert, authorities, err = Files{}.Validity()
	if none := (Validity{}); err != nil || cert != none || authorities != none {
		t.Errorf("got %v, %v, %v of no files", cert, authorities, err)
	}
}

func TestTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	issued := credentialtest.NewIssuer(t, time.Hour).Token("app")
	for content, ok := range map[string]bool{
		issued: true, issued + "\n": true, "opaque": true, "{\"access_token\": \"hush\"}": false, "hush hush": false, "hush\x01auth=": false, "": false,
	} {
		credentialtest.Write(t, path, []byte(content))
		get, err := TokenFromFile(path)
		if (err == nil) != ok {
			t.Errorf("%.10q: %v", content, err)
		}
		if err != nil {
			if !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "hush") {
				t.Errorf("got %v", err)
			}
			continue
		}
		if got, err := get(context.Background()); err != nil || got != strings.TrimSpace(content) {
			t.Errorf("%.10q: %v", content, err)
		}
	}
	if at, says := Ends(issued); !says || time.Until(at) < 59*time.Minute || time.Until(at) > time.Hour {
		t.Errorf("got %v, %t", at, says)
	}
	for _, opaque := range []string{"", "opaque", "a.b.c", "a.e30.c", "a.eyJleHAiOjFlMzB9.c"} {
		if at, says := Ends(opaque); says {
			t.Errorf("%s says that it ends at %v", opaque, at)
		}
	}
}
