package receive

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"callstitch/internal/receive/auth"
)

// TestFromThePostToTheRecord joins all: a post that proves who sent it is a record with
// its headers and its time, and a run that is told to end does, and answers no more.
func TestFromThePostToTheRecord(t *testing.T) {
	cluster := newCluster(t, kfake.SeedTopics(1, testTopic))
	cfg := testConfig(t)
	cfg.Brokers, cfg.Topic, cfg.HTTPListen = cluster.ListenAddrs(), testTopic, "127.0.0.1:0"
	cfg.Spool = Spool{Dir: t.TempDir(), Max: 1 << 30}
	type addresses struct{ door, http string }
	opened := make(chan addresses, 1)
	cfg.Listening = func(door, http string) { opened <- addresses{door, http} }
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, cfg) }()
	at := <-opened

	begun := time.Now()
	const body = "{\"eventType\":\"\xff\"}"
	r, err := http.NewRequest(http.MethodPost, "http://"+at.door+"/stringee/acme", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Stringee-Signature", auth.Stringee.Sign("new", []byte(body)))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK || len(answer) > 0 {
		t.Errorf("answered %s: %q", resp.Status, answer)
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics(testTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	records := reader.PollRecords(t.Context(), 1).Records()
	if len(records) != 1 {
		t.Fatalf("%d records", len(records))
	}
	var headers []string
	for _, h := range records[0].Headers {
		headers = append(headers, h.Key+"="+string(h.Value))
	}
	got := records[0]
	if string(got.Value) != body || got.Key != nil || !slices.Equal(headers, []string{"provider=stringee", "tenant=acme", "scope=pcc"}) ||
		got.Timestamp.Before(begun.Truncate(time.Millisecond)) || got.Timestamp.After(time.Now()) {
		t.Errorf("the record is %q at %s, headers %q", got.Value, got.Timestamp, headers)
	}
	ready, err := http.Get("http://" + at.http + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = ready.Body.Close()
	if ready.StatusCode != http.StatusOK {
		t.Errorf("/readyz answered %s", ready.Status)
	}
	http.DefaultClient.CloseIdleConnections()
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := http.Get("http://" + at.door); err == nil {
		t.Error("the door is open after the end")
	}
}
