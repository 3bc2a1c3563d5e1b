package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/cmd/callstitch/internal/terminal"
	"callstitch/cmd/callstitch/internal/webhook"
	"callstitch/topology/kafka"
)

const (
	// probeEvent is posted by --probe: a list of no events, which the decoder of any
	// provider leaves aside and counts as probeReason.
	probeEvent  = "[]"
	probeReason = "empty"

	// expirySoon is when it is said that a certificate ends.
	expirySoon = 14 * 24 * time.Hour
	// dialLimit is how long it may take to find out who listens on this machine.
	dialLimit = time.Second
)

// checkReceive looks at what the front door needs, and counts what does not hold.
func checkReceive(ctx context.Context, out terminal.Writer, cfg *config.Config, probe string) (failed int, err error) {
	runtime, err := cfg.Runtime()
	if err != nil {
		return 0, err
	}
	r := &cfg.Receive
	found := []kafka.Finding{examineAddress("receive.listen", r.Listen), examineAddress("receive.http.listen", r.HTTP.Listen), examineSecrets(r), examineSpool(&r.Spool)}
	target := examineTarget(ctx, runtime, r)
	if len(cfg.Sources) > 0 && target[0].Err == nil {
		target = target[1:] // that brokers answer is said already
	}
	found = append(found, target...)
	if n := len(found) - 1; len(cfg.Sources) > 0 && !slices.ContainsFunc(cfg.Sources, func(s config.Source) bool { return s.Topic == r.Topic }) {
		found[n].Advice = fmt.Sprintf("topic %s is no source of this configuration: nothing here reads what is received", r.Topic)
	}
	if probe != "" {
		found = append(found, probeAll(ctx, r, probe)...)
	}
	return tell(out, found), nil
}

func examineTarget(ctx context.Context, runtime kafka.Config, r *config.Receive) []kafka.Finding {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return kafka.ExamineTarget(ctx, runtime, r.Topic, int64(r.MaxBody))
}

// examineAddress finds out whether somebody listens at an address, or could.
func examineAddress(key, address string) kafka.Finding {
	if address == "" {
		return kafka.Finding{}
	}
	if c, err := net.DialTimeout("tcp", onThisMachine(address), dialLimit); err == nil {
		_ = c.Close()
		return kafka.Finding{What: key + " " + address + " is listened to already"}
	}
	l, err := net.Listen("tcp", address)
	if err == nil {
		_ = l.Close()
	}
	return kafka.Finding{What: key + " " + address + " can be listened to", Err: err}
}

// onThisMachine is an address that is listened to as one to connect to.
func onThisMachine(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("localhost", port)
	}
	return address
}

// examineSecrets looks at the files with secrets, which the configuration has read.
func examineSecrets(r *config.Receive) kafka.Finding {
	f := kafka.Finding{}
	if n := r.Files(); n > 0 {
		f.What = fmt.Sprintf("%d files with secrets and certificates can be read", n)
	}
	if r.TLS.CertFile == "" {
		return f
	}
	pair, err := tls.LoadX509KeyPair(r.TLS.CertFile, r.TLS.KeyFile)
	if err != nil {
		f.Err = fmt.Errorf("use receive.tls: %w", err)
		return f
	}
	switch left := time.Until(pair.Leaf.NotAfter); {
	case left <= 0:
		f.Err = fmt.Errorf("the certificate in %s ended %s", r.TLS.CertFile, pair.Leaf.NotAfter.Format(time.RFC3339))
	case left < expirySoon:
		f.Advice = fmt.Sprintf("the certificate in %s ends %s", r.TLS.CertFile, pair.Leaf.NotAfter.Format(time.RFC3339))
	}
	return f
}

// examineSpool writes a file to the spool's directory, or to the nearest one above it
// that is there.
func examineSpool(s *config.Spool) kafka.Finding {
	if s.Dir == "" {
		return kafka.Finding{
			What: "there is no spool", Advice: "without receive.spool.dir an outage of Kafka that is longer than receive.hold loses events",
		}
	}
	dir := s.Dir
	for {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			return kafka.Finding{What: "spool directory " + s.Dir + " can be written", Err: fmt.Errorf("%s is no directory", dir)}
		}
		if above := filepath.Dir(dir); errors.Is(err, os.ErrNotExist) && above != dir {
			dir = above
			continue
		}
		break
	}
	f := kafka.Finding{What: "spool directory " + s.Dir + " can be written"}
	if dir != s.Dir {
		f.What = "spool directory " + s.Dir + " is not there yet and can be made"
	}
	try, err := os.CreateTemp(dir, ".callstitch-check-")
	if err != nil {
		f.Err = err
		return f
	}
	f.Err = errors.Join(try.Close(), os.Remove(try.Name()))
	if free, known := freeBytes(dir); known {
		f.What += fmt.Sprintf(", %s free", wholeUnits(free))
		if free < int64(s.Max) {
			f.Advice = fmt.Sprintf("receive.spool.max is %s: the disk is full before that", s.Max)
		}
	}
	return f
}

// wholeUnits is a size for people, rounded down.
func wholeUnits(n int64) string {
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.bytes {
			return fmt.Sprintf("%d%s", n/u.bytes, u.name)
		}
	}
	return fmt.Sprintf("%dB", n)
}

// probeHere is the value of --probe that means the address that is listened to.
const probeHere = "here"

// probeAll posts one event through each endpoint, as its provider would.
func probeAll(ctx context.Context, r *config.Receive, base string) []kafka.Finding {
	if base == probeHere {
		base = "http://" + onThisMachine(r.Listen)
		if r.TLS.CertFile != "" {
			base = "https" + strings.TrimPrefix(base, "http")
		}
	}
	door, err := r.Door(base)
	if err != nil {
		return []kafka.Finding{{What: "endpoints can be posted to", Err: err}}
	}
	trust, err := r.Trust()
	if err != nil {
		return []kafka.Finding{{What: "endpoints can be posted to", Err: err}}
	}
	client := webhook.NewClient(trust)
	defer client.Close()
	var found []kafka.Finding
	for i := range door.Routes {
		to := door.Routes[i].Probe()
		_, err := client.Post(ctx, to, []byte(probeEvent))
		found = append(found, kafka.Finding{What: "an event through " + to.Shown() + " is taken", Err: err})
	}
	if left := len(r.Endpoints) - len(door.Routes); left > 0 {
		found = append(found, kafka.Finding{
			What:   fmt.Sprintf("%d endpoints were not tried", left),
			Advice: "they ask for a client certificate, of which only the client has the key",
		})
	}
	if len(found) > 0 {
		last := &found[len(found)-1]
		last.Advice = strings.TrimPrefix(last.Advice+"; ", "; ") + fmt.Sprintf("what was posted is %s, which is decoded to nothing: callstitch_dropped_records_total{reason=%q} counts it", probeEvent, probeReason)
	}
	return found
}
