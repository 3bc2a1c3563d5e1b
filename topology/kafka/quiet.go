package kafka

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kslog"
)

// quietLogger passes on only what an operator can act on: franz-go reports each
// transaction at level info. And it says one thing once a minute: where a topic is away,
// franz-go says so for each partition at each of several tries a second.
type quietLogger struct {
	kgo.Logger
	said *said // of the process, since clients are made anew while they fail
}

// Quiet is the option of a client that is not this package's, and is to log as those are.
func Quiet(log *slog.Logger) kgo.Opt {
	return kgo.WithLogger(quietLogger{kslog.New(log), new(said)})
}

func (l quietLogger) Level() kgo.LogLevel { return kgo.LogLevelWarn }

// Log logs, or counts.
func (l quietLogger) Log(level kgo.LogLevel, message string, keyvals ...any) {
	before, ok := l.said.again(time.Now(), lineOf(message, keyvals))
	if !ok {
		return
	}
	if before > 0 {
		keyvals = append(slices.Clip(keyvals), "repeated", before)
	}
	l.Logger.Log(level, message, keyvals...)
}

// lineInterval is how often a line is said.
const lineInterval = time.Minute

// said is when each line was last said. Nil says everything.
type said struct {
	mu    sync.Mutex
	lines map[line]*repeats
}

// line is what makes two lines of the client the same: not the partition, and of the
// error no more than what the broker called it, since others name ports.
type line struct{ message, topic, broker, code string }

type repeats struct {
	last time.Time
	n    int
}

func lineOf(message string, keyvals []any) line {
	l := line{message: message}
	for i := 0; i+1 < len(keyvals); i += 2 {
		switch keyvals[i] {
		case "topic":
			l.topic = fmt.Sprint(keyvals[i+1])
		case "broker":
			l.broker = fmt.Sprint(keyvals[i+1])
		case "err":
			err, _ := keyvals[i+1].(error)
			if code, ok := errors.AsType[*kerr.Error](err); ok {
				l.code = code.Message
			}
		}
	}
	return l
}

// again reports whether a line may be said, and how often it was not since the last time.
func (s *said) again(now time.Time, l line) (before int, ok bool) {
	if s == nil {
		return 0, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.lines[l]
	if r == nil {
		if s.lines == nil {
			s.lines = make(map[line]*repeats)
		}
		s.lines[l] = &repeats{last: now}
		return 0, true
	}
	if now.Sub(r.last) < lineInterval {
		r.n++
		return 0, false
	}
	before = r.n
	*r = repeats{last: now}
	return before, true
}
