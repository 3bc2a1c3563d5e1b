package explain

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"callstitch/processor/call"
	"callstitch/topology"
)

// Question is what is to be explained: a raw record, or an id.
type Question struct {
	at  *call.Source
	id  string     // a session, a leg, or a provider's call
	leg call.LegID // zero unless the id has the form of a leg's
}

// ParseQuestion reads an ID, or TOPIC PARTITION OFFSET.
func ParseQuestion(args []string) (Question, error) {
	if args[0] == "" { // every text contains it
		return Question{}, errors.New("the ID or TOPIC must not be empty")
	}
	if len(args) == 1 {
		q := Question{id: args[0]}
		q.leg, _ = call.ParseLegID(q.id)
		return q, nil
	}
	partition, err := strconv.ParseInt(args[1], 10, 32)
	if err != nil || partition < 0 {
		return Question{}, fmt.Errorf("PARTITION must be a number from 0, not %q", args[1])
	}
	offset, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil || offset < 0 {
		return Question{}, fmt.Errorf("OFFSET must be a number from 0, not %q", args[2])
	}
	return Question{at: &call.Source{Topic: args[0], Partition: int32(partition), Offset: offset}}, nil
}

// CheckTopic refuses a topic that holds no raw records: taken for one, a session
// would be told to be rejected, and to be in the rejects topic.
func (q Question) CheckTopic(t topology.Config) error {
	if q.at == nil {
		return nil
	}
	var sources []string
	for _, s := range t.Sources {
		sources = append(sources, s.Topic)
	}
	ours := []string{t.Topics.Events, t.Topics.Sessions, t.Topics.Legs, t.Topics.Settled, t.Topics.Rejects, t.Topics.Audit, t.ExchangeTopic(), t.ChangelogTopic()}
	switch {
	case len(sources) > 0 && !slices.Contains(sources, q.at.Topic):
		return fmt.Errorf("%s is not a topic of raw records: the sources are %s", q.at.Topic, strings.Join(sources, ", "))
	case len(sources) == 0 && slices.Contains(ours, q.at.Topic):
		return fmt.Errorf("%s is not a topic of raw records: callstitch itself writes it", q.at.Topic)
	}
	return nil
}

// isAbout reports whether the question names the record.
func (q Question) isAbout(s call.Source) bool { return q.at != nil && *q.at == s }

func (q Question) String() string {
	if q.at != nil {
		return "raw record " + position(*q.at)
	}
	return fmt.Sprintf("session, leg or provider call id %q", q.id)
}

// position is a raw record as explain takes it on its command line.
func position(s call.Source) string {
	return fmt.Sprintf("%s %d %d", s.Topic, s.Partition, s.Offset)
}
