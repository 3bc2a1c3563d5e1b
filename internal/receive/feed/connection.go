package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"
)

const (
	// FrameMax is the largest frame that is read: what is larger is no event that
	// callstitch takes.
	FrameMax = 1 << 20
	// answerLimit is how long the other side may be silent after a heartbeat.
	answerLimit = 10 * time.Second
)

var errSilent = fmt.Errorf("nothing was heard for %v after a heartbeat: the connection is open on this side only, and what was sent since the last frame may be lost", answerLimit)

// connection is one socket, from its opening to its end.
type connection struct {
	*feed
	socket   *websocket.Conn
	signs    atomic.Int64  // of life; their number says whether there was one meanwhile
	standing atomic.Bool   // nobody reads, so an answer would not be seen
	stood    time.Duration // for how long nobody read; read's
	silent   bool          // the heartbeat has found nobody; watch's
}

// connect opens the feed, and receives until it ends, which is always an error.
func (f *feed) connect(ctx context.Context) error {
	address, hello, err := f.dialect.open(ctx)
	if err != nil {
		return err
	}
	c := &connection{feed: f}
	if err := c.dial(ctx, address); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer c.socket.CloseNow()
	for _, frame := range hello {
		if err := c.send(ctx, frame); err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
	}
	f.connected()
	err = c.receive(ctx)
	f.cfg.Counters.connected.Store(false)
	f.ended = time.Now()
	if c.stood > time.Second {
		return fmt.Errorf("%w; reading had stood still for %v: what the provider had sent by then and in that time may be lost", err, c.stood.Round(time.Millisecond))
	}
	return err
}

// connected tells that events come in from now on, and for how long they did not.
func (f *feed) connected() {
	f.cfg.Counters.connected.Store(true)
	if f.ended.IsZero() {
		f.cfg.Log.Info("feed is connected")
		return
	}
	f.cfg.Log.Warn("feed is connected again: what the provider sent meanwhile is lost, for it sends nothing twice",
		"gap", time.Since(f.ended).Round(time.Millisecond))
}

func (c *connection) dial(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	socket, resp, err := websocket.Dial(ctx, address, &websocket.DialOptions{
		HTTPClient:     c.cfg.client(),
		OnPingReceived: func(context.Context, []byte) bool { c.signs.Add(1); return true },
		OnPongReceived: func(context.Context, []byte) { c.signs.Add(1) },
	})
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return refused(resp.StatusCode, nil)
		}
		return withoutURL(err)
	}
	socket.SetReadLimit(FrameMax)
	c.socket = socket
	return nil
}

func (c *connection) send(ctx context.Context, frame string) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	return c.socket.Write(ctx, websocket.MessageText, []byte(frame))
}

// receive reads, asks for signs of life, and renews the lease, until one of them fails.
func (c *connection) receive(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.read(ctx) })
	group.Go(func() error { return c.watch(ctx) })
	group.Go(func() error { return c.keep(ctx) })
	err := group.Wait()
	if c.silent {
		return errSilent // a write that nobody reads ends the reading, too, with a word that tells less
	}
	return err
}

// read takes each frame in hand, while there is room.
func (c *connection) read(ctx context.Context) error {
	for {
		if err := c.stand(ctx); err != nil {
			return err
		}
		_, body, err := c.socket.Read(ctx)
		if err != nil {
			c.hand.release()
			return c.readError(err)
		}
		received := time.Now()
		if c.unwanted(body) {
			c.cfg.Counters.count(Dropped)
			c.hand.release()
			continue
		}
		go c.hand.hold(received, body)
	}
}

// stand waits for room in hand. Its end is a sign of life: either a frame was read
// since the last one, or nobody listened.
func (c *connection) stand(ctx context.Context) error {
	began := time.Now()
	c.standing.Store(true)
	err := c.hand.reserve(ctx)
	c.signs.Add(1)
	c.standing.Store(false)
	c.stood += time.Since(began)
	return err
}

func (c *connection) readError(err error) error {
	if errors.Is(err, websocket.ErrMessageTooBig) {
		c.cfg.Counters.count(TooLarge)
		return fmt.Errorf("a frame has more than %d bytes, and cannot be taken", FrameMax)
	}
	if e, ok := errors.AsType[websocket.CloseError](err); ok {
		return fmt.Errorf("the other side closed the connection with status %d", e.Code) // the reason is its text, not ours to log
	}
	return fmt.Errorf("read: %w", err)
}

// unwanted reports whether a frame's kind is to be dropped. What is no JSON object
// has no kind: it is taken, and told where what is taken is decoded.
func (c *connection) unwanted(body []byte) bool {
	var frame map[string]json.RawMessage
	if len(c.manner.drop) == 0 || json.Unmarshal(body, &frame) != nil {
		return false
	}
	return slices.ContainsFunc(c.manner.kindIn, func(member string) bool {
		var kind string
		return json.Unmarshal(frame[member], &kind) == nil && slices.Contains(c.manner.drop, kind)
	})
}

// watch finds out whether anybody is on the other side.
func (c *connection) watch(ctx context.Context) error {
	beats := time.NewTicker(c.cfg.heartbeat())
	defer beats.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-beats.C:
		}
		if c.standing.Load() {
			continue
		}
		if err := c.beat(ctx); err != nil {
			return err
		}
	}
}

// beat asks for a sign of life, and takes any: a frame is as good as an answer.
func (c *connection) beat(ctx context.Context) error {
	before := c.signs.Load()
	within, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	var err error
	if c.manner.beat == "" {
		err = c.socket.Ping(within) // ends with its answer
	} else {
		err = c.socket.Write(within, websocket.MessageText, []byte(c.manner.beat))
	}
	if err == nil && c.signs.Load() == before {
		<-within.Done()
		err = within.Err()
	}
	switch late := errors.Is(err, context.DeadlineExceeded); {
	case late && c.signs.Load() == before && !c.standing.Load():
		c.silent = true
		return errSilent
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && !late:
		return fmt.Errorf("send a heartbeat: %w", err)
	}
	return nil
}

// keep renews what would lapse, and ends with what cannot be renewed.
func (c *connection) keep(ctx context.Context) error {
	for failures := 0; ; {
		pause := c.dialect.lease()
		if pause == 0 {
			return nil
		}
		if failures > 0 {
			pause = backOff(failures)
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
		err := c.dialect.renew(ctx)
		switch {
		case err == nil:
			failures = 0
		case ctx.Err() != nil || errors.Is(err, errOver):
			return err
		default:
			failures++
			c.cfg.Log.Warn("what the feed lives by is not renewed yet", "err", err)
		}
	}
}
