package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// retryInterval is how often something that is not there is asked again, and
	// named.
	retryInterval = 3 * time.Second
	// stopLimit is how long a worker may take to end, after the run was told to stop:
	// to commit the batch at hand, or to abort it, and to leave the group.
	stopLimit = 8 * time.Second
)

// Run runs the topology until ctx is cancelled, and then commits the batch at
// hand, leaves the group and returns nil within about 10 s. It waits for brokers
// and registry at the start up to StartupTimeout; once it is running it does not
// end for an outage. What it returns otherwise is one of the errors of this
// package, or says what cannot go on. Status may be nil.
func Run(ctx context.Context, cfg Config, status *Status) error {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return err
	}
	if status == nil {
		status = new(Status)
	}
	id, err := newIdentity(&cfg)
	if err != nil {
		return err
	}
	defer id.Close()
	cfg.self = cfg.ApplicationID + "-" + id.instance + "-"
	if id.random {
		cfg.Log.Warn("this instance has a random name: after a crash its partitions wait for time-outs; set instance_id or state_dir", "instance", id.instance)
	}
	status.set(Created, id.instance)
	defer status.set(Stopped, "")

	p, err := start(ctx, &cfg, status)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return advised(looked(ctx, &cfg, err))
	}
	p.status, p.id = status, id
	return advised(looked(ctx, &cfg, p.run(ctx)))
}

// process is a run after its start: the worker, and the watch beside it.
type process struct {
	cfg     *Config
	topics  topics
	encoder *encoder
	status  *Status
	id      identity
	metrics *metrics
	worker  *worker
	orphans orphans // of the watch only
	holds   holds   // of the watch only
}

// start waits for everything a run needs: brokers, topics, schemas, offsets. A
// mismatch ends it at once, whatever is absent only after StartupTimeout.
func start(ctx context.Context, cfg *Config, status *Status) (*process, error) {
	brokers := new(patience)
	cl, err := kgo.NewClient(append(cfg.clientOptions(cfg.ApplicationID+"-start"), kgo.WithContext(ctx), kgo.WithHooks(brokers))...)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	defer cl.Close()
	registry := cfg.schemas // one for all tries: what it has learnt stays (K45)
	if registry == nil {
		if registry, err = cfg.Registry.open(); err != nil {
			return nil, err
		}
	}
	deadline := time.Now().Add(cfg.StartupTimeout)
	for {
		p, err := prepare(ctx, cfg, cl, brokers, func() (*encoder, error) {
			ctx, cancel := context.WithDeadline(ctx, deadline)
			defer cancel()
			return awaitSchemas(ctx, cfg, registry, status)
		})
		if err == nil || ctx.Err() != nil {
			return p, errors.Join(err, ctx.Err())
		}
		if time.Now().After(deadline) && errors.Is(err, errMissing) {
			return nil, fmt.Errorf("%w: %w", ErrTopicMismatch, err)
		}
		if time.Now().After(deadline) || final(err) {
			return nil, err
		}
		cfg.Log.Warn("waiting", "brokers", strings.Join(cfg.Brokers, ","), "error", err)
		status.wait(err.Error())
		wait(ctx, retryInterval)
	}
}

// prepare is one try of the start. Each of its looks at the cluster has a limit, which
// the registry does not share: that one bounds its requests itself.
func prepare(ctx context.Context, cfg *Config, cl *kgo.Client, brokers *patience, schemas func() (*encoder, error)) (*process, error) {
	var found topics
	look := func(ctx context.Context) (err error) {
		found, err = survey(ctx, cfg, cl)
		return err
	}
	if err := brokers.try(ctx, look); err != nil {
		return nil, err
	}
	begun := time.Now()
	encoder, err := schemas()
	if err != nil {
		return nil, err
	}
	if time.Since(begun) > attemptLimit { // what was seen of the cluster is old by now
		if err := brokers.try(ctx, look); err != nil {
			return nil, err
		}
	}
	err = brokers.try(ctx, func(ctx context.Context) error { return prepareOffsets(ctx, cfg, kadm.NewClient(cl), found) })
	if err != nil {
		return nil, err
	}
	if err := checkGone(ctx, cfg, cl, found); err != nil {
		return nil, err
	}
	return &process{cfg: cfg, topics: found, encoder: encoder}, nil
}

// survey looks at brokers, group and topics, and makes the topics that are missing.
func survey(ctx context.Context, cfg *Config, cl *kgo.Client) (found topics, err error) {
	if err := cl.Ping(ctx); err != nil {
		return found, fmt.Errorf("reach brokers %s: %w", strings.Join(cfg.Brokers, ","), explained(err))
	}
	if err := requireTransactionVersion(ctx, cl); err != nil {
		return found, err
	}
	if err := requireRights(ctx, cfg, cl); err != nil { // before anything is written
		return found, err
	}
	if members, err := groupMembers(ctx, cl, cfg.ApplicationID); err != nil {
		return found, err
	} else if err := cmp.Or(checkMembers(cfg, members), checkBeside(cfg, members)); err != nil {
		return found, err
	}
	return prepareTopics(ctx, cfg, kadm.NewClient(cl))
}

// awaitSchemas fetches the ids of the schemas, and says that it waits for them.
func awaitSchemas(ctx context.Context, cfg *Config, registry schemaRegistry, status *Status) (*encoder, error) {
	status.wait("waits for schema registry " + registry.String())
	begun, said, done := time.Now(), time.NewTicker(retryInterval), make(chan struct{})
	defer said.Stop()
	defer close(done)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-said.C:
				cfg.Log.Warn("the schema registry answers slowly, waiting", "registry", registry.String(), "for", time.Since(begun).Round(time.Second))
			}
		}
	}()
	return newEncoder(ctx, cfg, registry)
}

func (p *process) run(ctx context.Context) error {
	p.metrics = newMetrics(p.cfg.Registerer, p.status)
	defer p.metrics.unregister(p.status)
	p.status.set(Running, "")
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	hard, stop := outlive(ctx, func() time.Duration { return stopLimit })
	defer stop()
	defer context.AfterFunc(ctx, func() { p.status.set(PendingShutdown, "") })()
	id := p.id.worker(p.cfg.ApplicationID)
	p.worker = &worker{
		cfg: p.cfg, id: id, topics: p.topics, encoders: p.encoder.forks(p.cfg.Workers), slots: make(chan struct{}, concurrentRestores),
		log: p.cfg.Log.With("worker", id), metrics: p.metrics, status: p.status, limits: newLimits(p.cfg, p.topics.maxBytes),
		pulse: newPulse(),
	}
	p.status.leave()
	watched := make(chan error)
	go func() {
		err := p.watch(ctx)
		end(err) // what the watch finds ends the worker as a signal does
		watched <- err
	}()
	err := p.worker.run(ctx, hard)
	end(err)
	return errors.Join(<-watched, err)
}

// outlive is a context that ends some time after ctx does: what was begun is
// finished, and a broker that hangs cannot hold up the end for ever. Work on a
// transaction never runs under a context that a signal cancels (K3).
func outlive(ctx context.Context, limit func() time.Duration) (context.Context, context.CancelFunc) {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(limit(), cancel) })
	return hard, cancel
}

// watch looks from outside at what the worker, which just waits, cannot tell: a broker
// that cannot be reached, commits that do not come, somebody else in the group, partitions
// that are nobody's, a topic that is another one than it was. It returns when ctx ends, or
// when it finds what ends the run.
func (p *process) watch(ctx context.Context) error {
	cl, err := kgo.NewClient(append(p.cfg.clientOptions(p.cfg.ApplicationID+"-watch"), kgo.WithContext(ctx))...)
	if err != nil {
		return nil
	}
	defer cl.Close()
	same := &sameTopics{cfg: p.cfg, ids: p.topics.ids, gone: make(map[string]int)}
	looked, s := time.Now(), new(stalls)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pulseInterval):
		}
		err := p.feel(ctx, cl, s)
		p.watchClocks(ctx, cl)
		if err == nil && time.Since(looked) >= retryInterval {
			looked = time.Now()
			err = p.look(ctx, cl, same)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// look is one round of watch. Only what ends the run is an error of it.
func (p *process) look(ctx context.Context, cl *kgo.Client, same *sameTopics) error {
	ctx, cancel := context.WithTimeout(ctx, retryInterval)
	defer cancel()
	if err := within(ctx, func() error { return cl.Ping(ctx) }); err != nil && !errors.Is(err, context.Canceled) {
		p.cfg.Log.Warn("no broker answers, waiting", "brokers", strings.Join(p.cfg.Brokers, ","), "error", explained(err))
		p.status.setOutage("waits for brokers " + strings.Join(p.cfg.Brokers, ","))
		return nil
	}
	missing, err := same.look(ctx, kadm.NewClient(cl))
	if err != nil {
		return err
	}
	if missing != "" {
		p.cfg.Log.Warn("a source topic is not there", "topic", missing)
		missing = "waits for source topic " + missing
	}
	p.status.setOutage(missing)
	members, err := checkGroup(ctx, p.cfg, cl)
	if err == nil {
		err = checkBefore(p.cfg, members)
	}
	if final(err) {
		return err
	}
	if err == nil {
		p.adopt(members, same.partitions)
	}
	return nil
}
