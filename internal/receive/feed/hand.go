package feed

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// inHand bounds the frames that were read and are not taken yet, which is what
	// one feed holds in memory: 16 MiB at the most. Their order does not matter, and
	// Kafka acknowledges whole batches, so a feed is as many times faster.
	inHand = 16
	// A frame that is refused is offered again after offerMin, doubled up to offerMax.
	offerMin = 250 * time.Millisecond
	offerMax = 10 * time.Second
)

// hand holds the frames that were read and are not taken yet. They outlive their
// connection, since they are nowhere else, and the feed by a farewell.
type hand struct {
	take  Take
	count *Counters
	log   *slog.Logger
	room  chan struct{} // one for each frame in hand

	feed  context.Context // the feed's
	offer context.Context // ends a farewell later
	end   context.CancelFunc

	mu    sync.Mutex
	since time.Time // when the frames in hand that were refused began to be
}

func newHand(ctx context.Context, take Take, count *Counters, log *slog.Logger) *hand {
	h := &hand{take: take, count: count, log: log, room: make(chan struct{}, inHand), feed: ctx}
	h.offer, h.end = context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() {
		_ = wait(h.offer, farewell)
		h.end()
	})
	return h
}

// reserve waits until there is room for one more frame. While it waits, nobody reads.
func (h *hand) reserve(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case h.room <- struct{}{}:
		return nil
	}
}

func (h *hand) release() { <-h.room }

// hold offers a frame until it is taken, and makes room. After the end of the feed
// it is offered once more.
func (h *hand) hold(received time.Time, body []byte) {
	defer h.release()
	for pause, refused := offerMin, false; ; pause = min(2*pause, offerMax) {
		last := h.feed.Err() != nil
		err := h.take(h.offer, received, body)
		last = last || h.offer.Err() != nil
		switch {
		case err == nil:
			h.count.count(Taken)
		case last:
			h.count.count(Lost)
			h.log.Error("a frame is lost: it was not taken, and the program ends", "err", err)
		case !refused:
			refused = true
			h.refused(err)
		}
		if err == nil || last {
			if refused {
				h.settled()
			}
			return
		}
		_ = wait(h.feed, pause) // at the feed's end there is a last offer
	}
}

func (h *hand) refused(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count.count(Held)
	if h.count.refused.Add(1) == 1 {
		h.since = time.Now()
		h.log.Warn("frames are not taken: they stay in hand, and reading stops", "err", err)
	}
}

func (h *hand) settled() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.count.refused.Add(-1) == 0 {
		h.log.Info("no frame is refused any more", "after", time.Since(h.since).Round(time.Millisecond))
	}
}

// empty waits until no frame is in hand.
func (h *hand) empty() {
	for range inHand {
		h.room <- struct{}{}
	}
	h.end()
}
