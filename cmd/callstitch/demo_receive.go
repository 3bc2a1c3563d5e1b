package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"callstitch/cmd/callstitch/internal/config"
	"callstitch/internal/receive"
	"callstitch/internal/simulator"
	"callstitch/processor/call"
)

// demoDoor is a front door on loopback with an endpoint for each provider, which asks
// for a password that nobody else knows.
type demoDoor struct {
	address string
	postman *postman
	dir     string
	stop    context.CancelFunc
	ended   chan error
}

// demoStart is how long a door may take to listen.
const demoStart = 10 * time.Second

// openDemoDoor serves a door that the configuration then describes.
func openDemoDoor(cfg *config.Config) (_ *demoDoor, err error) {
	d := &demoDoor{ended: make(chan error, 1)}
	if d.dir, err = os.MkdirTemp("", "callstitch-demo-"); err != nil {
		return nil, fmt.Errorf("open the demo's door: %w", err)
	}
	password := filepath.Join(d.dir, "password")
	if err := os.WriteFile(password, []byte(rand.Text()), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("open the demo's door: %w", err), os.RemoveAll(d.dir))
	}
	r := &cfg.Receive
	r.Listen, r.HTTP.Listen, r.Topic, r.ProbePeriod = "127.0.0.1:0", "", rawTopic, 0
	for _, p := range call.ProviderNames() {
		r.Endpoints = append(r.Endpoints, config.Endpoint{
			Path: "/" + p + "/{tenant}", Provider: p, Auth: config.Auth{Basic: config.Basic{Username: "demo", PasswordFile: password}},
		})
	}
	if err := d.serve(cfg); err != nil {
		return nil, errors.Join(err, d.close())
	}
	d.postman, err = newPostman(cfg, "http://"+d.address, false)
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// serve runs the door and waits until it is open.
//
// It logs errors only: it would warn of events that a call-control application must
// answer, of which simulated traffic is full.
func (d *demoDoor) serve(cfg *config.Config) error {
	receiver, err := cfg.Receiver()
	if err != nil {
		return err
	}
	open := make(chan string, 1)
	receiver.Log = newLog(config.Log{Level: "error", Format: "text"}, os.Stderr)
	receiver.Listening = func(door, _ string) { open <- door }
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	go func() { d.ended <- receive.Run(ctx, receiver) }()
	select {
	case d.address = <-open:
		return nil
	case err := <-d.ended:
		d.ended <- nil // close gets it no second time
		return fmt.Errorf("open the demo's door: %w", err)
	case <-time.After(demoStart):
		return errors.New("open the demo's door: it does not listen")
	}
}

func (d *demoDoor) close() (err error) {
	if d.stop != nil {
		d.stop()
		err = <-d.ended
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}

// post posts traffic in real time until ctx ends. There is no backlog: an event that has
// no time of its own has that of its arrival.
func (d *demo) post(ctx context.Context, traffic simulator.Config) error {
	traffic.Start = time.Now()
	sending, failed := context.WithCancelCause(ctx)
	defer failed(nil)
	p := d.door.postman
	err := send(sending, simulator.New(traffic), true, func(r simulator.Record) error {
		return p.send(context.WithoutCancel(ctx), failed, r)
	})
	err = errors.Join(err, p.close())
	d.sent = p.delivered.Load()
	return err
}
