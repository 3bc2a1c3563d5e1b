package feed

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

var slogDiscard = slog.New(slog.DiscardHandler)

// TestOverSockets receives over TCP what the other tests receive in memory.
func TestOverSockets(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		socket, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer socket.CloseNow()
		_, hello, err := socket.Read(r.Context())
		if err != nil || string(hello) != `{"token":"s\"1"}` {
			t.Errorf("first frame %s, %v", hello, err)
		}
		for _, frame := range []string{`{"type":"auth","user":"x"}`, `{"type":"call_state"}`} {
			if err := socket.Write(r.Context(), websocket.MessageText, []byte(frame)); err != nil {
				t.Error(err)
			}
		}
		socket.Read(r.Context())
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var counters Counters
	err := Run(ctx, Config{
		Name: "any", URL: strings.Replace(server.URL, "http", "ws", 1),
		Send: []string{`{"token":"{{token}}"}`}, Token: func() (string, error) { return `s"1`, nil }, Drop: []string{"auth"},
		Log: slogDiscard, Counters: &counters,
	}, func(_ context.Context, received time.Time, body []byte) error {
		if string(body) != `{"type":"call_state"}` || time.Since(received) > time.Minute {
			t.Errorf("took %s of %v", body, received)
		}
		cancel()
		return nil
	})
	if err != nil || counters.Frames(Taken) != 1 || counters.Frames(Dropped) != 1 {
		t.Errorf("%v, taken %d, dropped %d", err, counters.Frames(Taken), counters.Frames(Dropped))
	}
}
