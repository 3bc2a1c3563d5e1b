package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The rights that a run makes use of, as docs/operations.md lists them. Each is asked for
// by itself, with requests that change nothing:
//
//   - Of topics, brokers tell what this user may do (KIP-430), also of those that are not
//     there yet.
//   - Of groups and transactional ids, something is asked for that cannot be done: a
//     heartbeat of nobody, the end of a transaction that never began. Brokers look first
//     at who asks, so they say that it cannot be done only to who might do it.
//
// A start that goes on without one of them would stop half-way: with offsets that are
// written for some topics, which looks like offsets that were lost (K15).

// right is an operation on a topic.
type right struct {
	operation kmsg.ACLOperation
	// without is what a run then does without; empty where there is no run without it.
	without string
}

// rightsOn are rights on a topic.
type rightsOn struct {
	topic  string
	rights []right
}

// topicRights lists what a run does with topics.
func (c *Config) topicRights() (all []rightsOn) {
	read, write := right{operation: kmsg.ACLOperationRead}, right{operation: kmsg.ACLOperationWrite}
	purge := right{kmsg.ACLOperationDelete, "it is not purged, and only grows"}
	describe := func(without string) right { return right{kmsg.ACLOperationDescribeConfigs, without} }
	settings := describe("whether it is set up as the state needs it is not checked")
	for _, t := range c.rawTopics() {
		all = append(all, rightsOn{t, []right{read, describe("how far ahead it lets records be dated is not checked")}})
	}
	all = append(all,
		rightsOn{c.ExchangeTopic(), []right{read, write, purge, settings}},
		rightsOn{c.ChangelogTopic(), []right{read, write, settings}})
	for _, s := range c.Sinks() {
		all = append(all, rightsOn{c.Topics.Topic(s), []right{write, describe("how large a record it takes is found out from what it refuses")}})
	}
	return all
}

// requireRights fails where this user may not do what there is no run without, and names
// all of it.
func requireRights(ctx context.Context, cfg *Config, cl *kgo.Client) error {
	topics, err := askTopicRights(ctx, kadm.NewClient(cl), cfg.topicRights())
	if err != nil {
		return err
	}
	id := cfg.self + "0" // the worker's own: of others, it may do without (fence.go)
	problems := []error{mayJoin(ctx, cl, cfg.ApplicationID), mayProduce(ctx, cl, id, "id "+id)}
	for _, f := range topics {
		problems = append(problems, f.Err)
	}
	if lacks := lackedIn(problems); len(lacks) > 0 {
		return fmt.Errorf("this user lacks %s: grant what is missing", and(lacks))
	}
	return nil // what else went wrong is met again, where it matters
}

// lackError is a right, or several on one resource, that this user lacks.
type lackError struct{ what string }

func (e *lackError) Error() string { return "this user lacks " + e.what + ": grant it" }

func lacking(operations, resource string) error { return &lackError{operations + " on " + resource} }

// lackedIn are the rights that errors say are lacking.
func lackedIn(problems []error) (what []string) {
	for _, err := range problems {
		if lack, ok := errors.AsType[*lackError](err); ok {
			what = append(what, lack.what)
		}
	}
	return what
}

// examineTopicRights looks at each right of a run on topics.
func examineTopicRights(ctx context.Context, cfg *Config, cl *kgo.Client) []Finding {
	found, err := askTopicRights(ctx, kadm.NewClient(cl), cfg.topicRights())
	if err != nil {
		return []Finding{{What: "rights can be asked for", Err: err}}
	}
	return found
}

// examineGroupRights looks at the other rights of a run, and then at those of the commands
// that change something, which another user may run.
func examineGroupRights(ctx context.Context, cfg *Config, cl *kgo.Client) []Finding {
	prefix := cfg.ApplicationID + "-"
	_, group := whenLoaded(ctx, func() (any, error) { return nil, mayJoin(ctx, cl, cfg.ApplicationID) })
	return append([]Finding{
		{What: "this user has READ on group " + cfg.ApplicationID, Err: group},
		{What: "this user has WRITE on transactional ids that begin with " + prefix, Err: mayProduce(ctx, cl, prefix+"check", "ids that begin with "+prefix)},
	}, adviseCommands(ctx, cfg, cl)...)
}

// askTopicRights asks what this user may do with topics, and finds for each whether that
// is what he needs.
func askTopicRights(ctx context.Context, adm *kadm.Client, needs []rightsOn) (found []Finding, err error) {
	names := make([]string, len(needs))
	for i, n := range needs {
		names[i] = n.topic
	}
	details, err := listVisible(kadm.WithAuthorizedOps(ctx), adm, names...)
	if err != nil {
		return nil, err
	}
	for _, n := range needs {
		may := func(o kmsg.ACLOperation) bool { return allowed(details[n.topic], o) }
		if hidden(details[n.topic]) {
			// He lacks all that would let him see it. To describe its configs does not.
			_, err := adm.DescribeTopicConfigs(ctx, n.topic)
			may = func(o kmsg.ACLOperation) bool {
				return o == kmsg.ACLOperationDescribeConfigs && !errors.Is(err, kerr.TopicAuthorizationFailed)
			}
		}
		found = append(found, n.compare(may))
	}
	return found, nil
}

// listVisible lists topics as kadm does, but for those that this user may not see: they
// have that as their error, where kadm says only that there is one.
func listVisible(ctx context.Context, adm *kadm.Client, names ...string) (kadm.TopicDetails, error) {
	details, err := adm.ListTopics(ctx, names...)
	if errors.Is(err, kerr.TopicAuthorizationFailed) {
		details, err = make(kadm.TopicDetails), nil
		for _, name := range names {
			one, failed := adm.ListTopics(ctx, name)
			switch {
			case failed == nil:
				details[name] = one[name]
			case errors.Is(failed, kerr.TopicAuthorizationFailed):
				details[name] = kadm.TopicDetail{Topic: name, Err: kerr.TopicAuthorizationFailed}
			default:
				err = failed
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	return details, nil
}

// hidden reports whether this user may not see a topic, nor whether it is there.
func hidden(d kadm.TopicDetail) bool { return errors.Is(d.Err, kerr.TopicAuthorizationFailed) }

// allowed reports whether this user has a right on a topic that he may see. Where brokers
// do not say, it is taken that he has.
func allowed(d kadm.TopicDetail, o kmsg.ACLOperation) bool {
	return len(d.AuthorizedOperations) == 0 || slices.Contains(d.AuthorizedOperations, o)
}

// compare holds what this user may do with a topic against what he needs.
func (n rightsOn) compare(may func(kmsg.ACLOperation) bool) Finding {
	var needs, lacks, advice []string
	for _, r := range n.rights {
		word := r.operation.String()
		if may(r.operation) {
			needs = append(needs, word)
		} else if r.without == "" {
			needs, lacks = append(needs, word), append(lacks, word)
		} else {
			advice = append(advice, fmt.Sprintf("this user lacks %s on topic %s: %s", word, n.topic, r.without))
		}
	}
	f := Finding{What: "this user has " + and(needs) + " on topic " + n.topic, Advice: strings.Join(advice, "; ")}
	if len(lacks) > 0 {
		f.Err = lacking(and(lacks), "topic "+n.topic)
	}
	return f
}

// and lists words as prose does: "READ, WRITE and DELETE".
func and(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// mayJoin asks whether this user has READ on a group, with a heartbeat of a member that
// there is not.
func mayJoin(ctx context.Context, cl *kgo.Client, group string) error {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation = group, "nobody", -1
	resp, err := req.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	switch {
	case errors.Is(err, kerr.UnknownMemberID), errors.Is(err, kerr.GroupIDNotFound), errors.Is(err, kerr.IllegalGeneration):
		return nil
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return lacking("READ", "group "+group)
	}
	return err
}

// mayProduce asks whether this user has WRITE on a transactional id, which stands for what
// is shown, with the end of a transaction of a producer that there is not. Any broker says
// so: to look for the id's coordinator could make the topic in which it keeps them.
func mayProduce(ctx context.Context, cl *kgo.Client, id, shown string) (err error) {
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = id, nobodysProducer, 0
	for _, broker := range cl.DiscoveredBrokers() {
		var answer kmsg.Response
		if answer, err = broker.Request(ctx, req); err == nil {
			err = kerr.ErrorForCode(answer.(*kmsg.EndTxnResponse).ErrorCode)
			break
		}
	}
	switch {
	case errors.Is(err, kerr.NotCoordinator), errors.Is(err, kerr.InvalidProducerIDMapping),
		errors.Is(err, kerr.CoordinatorNotAvailable), errors.Is(err, kerr.CoordinatorLoadInProgress):
		return nil
	case errors.Is(err, kerr.TransactionalIDAuthorizationFailed):
		return lacking("WRITE", "transactional "+shown)
	}
	return err
}

// nobodysProducer is a producer id that no cluster will come to: they are counted from 0.
const nobodysProducer = 1 << 62

// adviseCommands says of commands that change something what this user lacks for them.
func adviseCommands(ctx context.Context, cfg *Config, cl *kgo.Client) (found []Finding) {
	adm := kadm.NewClient(cl)
	for _, c := range []struct {
		name     string
		topics   []rightsOn
		problems []error
	}{
		{"rejects replay", cfg.replayRights(), []error{mayJoin(ctx, cl, cfg.ApplicationID+"-rejects-replay")}},
		{"reset", cfg.resetRights(), append(mayMakeAnew(ctx, cfg, adm), mayDelete(ctx, cl, cfg.ApplicationID))},
	} {
		topics, err := askTopicRights(ctx, adm, c.topics)
		problems := append(c.problems, err)
		for _, f := range topics {
			problems = append(problems, f.Err)
		}
		if lacks := lackedIn(problems); len(lacks) > 0 {
			found = append(found, Finding{Advice: fmt.Sprintf("whoever runs 'callstitch %s' needs what this user lacks: %s", c.name, and(lacks))})
		}
	}
	return found
}

// replayRights are what sending rejects again does with topics.
func (c *Config) replayRights() []rightsOn {
	all := []rightsOn{{c.Topics.Rejects, []right{{operation: kmsg.ACLOperationRead}}}}
	for _, t := range c.rawTopics() {
		all = append(all, rightsOn{t, []right{{operation: kmsg.ACLOperationWrite}}})
	}
	return all
}

// resetRights are what beginning anew does with topics: it reads which generation of
// sessions there is, and commits an offset of the exchange.
func (c *Config) resetRights() []rightsOn {
	remove := right{operation: kmsg.ACLOperationDelete}
	return []rightsOn{
		{c.ExchangeTopic(), []right{remove, {operation: kmsg.ACLOperationRead}}},
		{c.ChangelogTopic(), []right{remove}},
		{c.Topics.Sessions, []right{{operation: kmsg.ACLOperationRead}}},
	}
}

// mayMakeAnew asks whether this user may make the internal topics, which a reset deletes
// before: brokers look at that first, and only then whether there is one.
func mayMakeAnew(ctx context.Context, cfg *Config, adm *kadm.Client) (problems []error) {
	if cfg.Output.NoCreate {
		return nil
	}
	internal := []string{cfg.ExchangeTopic(), cfg.ChangelogTopic()}
	answers, err := adm.ValidateCreateTopics(ctx, -1, -1, nil, internal...)
	for _, topic := range internal {
		if errors.Is(answers[topic].Err, kerr.TopicAuthorizationFailed) {
			problems = append(problems, lacking("CREATE", "topic "+topic))
		}
	}
	return append(problems, err)
}

// mayDelete asks whether this user may delete a group, as far as it is there.
func mayDelete(ctx context.Context, cl *kgo.Client, group string) error {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups, req.IncludeAuthorizedOperations = []string{group}, true
	resp, err := req.RequestWith(ctx, cl)
	if err != nil || len(resp.Groups) != 1 || resp.Groups[0].ErrorCode != 0 {
		return err
	}
	may := kadm.DecodeACLOperations(resp.Groups[0].AuthorizedOperations)
	if len(may) > 0 && !slices.Contains(may, kmsg.ACLOperationDelete) {
		return lacking("DELETE", "group "+group)
	}
	return nil
}
