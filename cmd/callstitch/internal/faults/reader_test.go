package faults

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"sync"
	"time"
)

// session and book are what is needed of the records of call.sessions and call.audit.
type (
	session struct {
		ID      string `json:"session_id"`
		State   string `json:"record_state"`
		Version int64  `json:"record_version"`
		Events  int64  `json:"event_count"`
	}
	book struct {
		Partition   int32 `json:"partition"`
		NextOffset  int64 `json:"next_offset"`
		Read        int64 `json:"read"`
		Decoded     int64 `json:"decoded"`
		Ignored     int64 `json:"ignored"`
		Rejected    int64 `json:"rejected"`
		Events      int64 `json:"events"`
		Accepted    int64 `json:"accepted"`
		Duplicate   int64 `json:"duplicate"`
		Conflicting int64 `json:"conflicting"`
		Late        int64 `json:"late"`
	}
)

// reader is `callstitch tail --follow`: it reads what is committed, through the
// registry, from the first record on and as it comes.
type reader[T any] struct {
	mu      sync.Mutex // guards the rest
	lines   []string
	records []T
	came    []time.Time // when each was read
}

// follow reads a topic of the application until the test ends.
func follow[T any](a *application, topic string) *reader[T] {
	a.t.Helper()
	cmd := a.command("tail", "--follow", a.topic(topic))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		a.t.Fatal(err)
	}
	r, done := new(reader[T]), make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewReader(out); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return // the test is over
			}
			r.take(line[:len(line)-1])
		}
	}()
	a.t.Cleanup(func() {
		<-done
		_ = cmd.Wait() // the test's context killed it
	})
	return r
}

// take takes in a line. One that is no JSON is compared like any other in the end.
func (r *reader[T]) take(line string) {
	var record T
	_ = json.Unmarshal([]byte(line), &record)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines, r.records, r.came = append(r.lines, line), append(r.records, record), append(r.came, time.Now())
}

// longestPause is the longest time between two instants in which nothing came.
func (r *reader[T]) longestPause(from, to time.Time) (longest time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, at := range append(slices.Clone(r.came), to) {
		if at.Before(from) || at.After(to) {
			continue
		}
		longest, from = max(longest, at.Sub(from)), at
	}
	return longest
}

// all are the records so far.
func (r *reader[T]) all() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clip(r.records)
}

// text are their lines.
func (r *reader[T]) text() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clip(r.lines)
}

// lastSessions are the newest records of each session, by id.
func lastSessions(records []session) map[string]session {
	last := map[string]session{}
	for _, s := range records {
		if s.Version >= last[s.ID].Version {
			last[s.ID] = s
		}
	}
	return last
}

// lastBooks are the newest books of each source partition.
func lastBooks(records []book) map[int32]book {
	last := map[int32]book{}
	for _, b := range records {
		if b.NextOffset >= last[b.Partition].NextOffset {
			last[b.Partition] = b
		}
	}
	return last
}

// total is the sum of books.
func total(books map[int32]book) (sum book) {
	for _, b := range books {
		sum.NextOffset += b.NextOffset
		sum.Read += b.Read
		sum.Decoded += b.Decoded
		sum.Ignored += b.Ignored
		sum.Rejected += b.Rejected
		sum.Events += b.Events
		sum.Accepted += b.Accepted
		sum.Duplicate += b.Duplicate
		sum.Conflicting += b.Conflicting
		sum.Late += b.Late
	}
	return sum
}
