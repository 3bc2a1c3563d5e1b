package feed

import (
	"context"
	"errors"
	"time"
)

// errOver is a lease that cannot be renewed any more.
var errOver = errors.New("the session is over")

// A dialect is how a provider opens, keeps and ends a feed. One goroutine at a
// time speaks it.
type dialect interface {
	validate(*Config) error
	// open gets ready for one connection, ending what an earlier one has left, and
	// tells the address and the frames to send there first.
	open(context.Context) (address string, hello []string, err error)
	// lease is how long until what was opened must be renewed; 0 is for ever.
	lease() time.Duration
	renew(context.Context) error // errOver: it never will be, and the connection is to be made anew
	// leave ends what was opened.
	leave(context.Context) error
	// manner is how frames look.
	manner() manner
}

// A manner is how a provider's frames look.
type manner struct {
	kindIn []string // members at the top, one of which names a frame's kind
	drop   []string // kinds that nobody wants
	beat   string   // a frame that comes back as it was sent; empty: a WebSocket ping
}

// dialect is the provider's.
func (c *Config) dialect() dialect {
	switch c.Provider {
	case "xelion", "sonetel":
		return newXelion(c)
	case "opentact":
		return newOpentact(c)
	default:
		return &plain{cfg: c}
	}
}
