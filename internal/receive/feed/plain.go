package feed

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// tokenMark, in a frame to send, stands for the token.
const tokenMark = "{{token}}"

// plain is a WebSocket that pushes JSON: an address, perhaps frames to send first,
// and nothing that lapses.
type plain struct{ cfg *Config }

func (p *plain) validate(c *Config) error    { return c.validateAddress() }
func (p *plain) manner() manner              { return manner{kindIn: []string{"type"}} }
func (p *plain) lease() time.Duration        { return 0 }
func (p *plain) renew(context.Context) error { return nil }
func (p *plain) leave(context.Context) error { return nil }

func (p *plain) open(context.Context) (string, []string, error) {
	hello, err := p.hello()
	return p.cfg.URL, hello, err
}

// hello is what is sent first, with the token of this moment.
func (p *plain) hello() ([]string, error) {
	token, err := p.token()
	if err != nil {
		return nil, err
	}
	var frames []string
	for _, frame := range p.cfg.Send {
		frames = append(frames, strings.ReplaceAll(frame, tokenMark, inString(token)))
	}
	return frames, nil
}

func (p *plain) token() (string, error) {
	if p.cfg.Token == nil {
		return "", nil
	}
	token, err := p.cfg.Token()
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	return token, nil
}

// inString is a text as it stands between the quotes of a JSON string.
func inString(s string) string {
	quoted, _ := json.Marshal(s) // a string always can be
	return string(quoted[1 : len(quoted)-1])
}
