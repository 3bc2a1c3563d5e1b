package kafka

import (
	"slices"
	"time"

	"callstitch/topology"
)

// A group may be at rest and yet have given a partition to nobody. In a cooperative
// rebalance it is so for a moment: a member has given the partition up, and the group
// shares it out when that member joins again. One that dies before that, or whose broker
// does not answer, and that is back before its session has timed out, joins as the static
// member that it was. The group gives it what it had left, shares out nothing, and rests:
//
//	one gives up p-1 ──▶ one is killed ──▶ one is back, as the same member
//	p-1: nobody's ───────────────────────▶ nobody's, until somebody else comes or goes
//
// So the group is looked at from outside, and asked to share out anew (K53).

// orphanLimit is how long a group at rest may leave a partition to nobody: a member that
// gives one up joins again as soon as its transaction has ended.
const orphanLimit = stallLimit

// orphans are the partitions that nobody has.
type orphans struct {
	since  map[topology.TopicPartition]time.Time
	looked time.Time // last; what is nobody's by now may be somebody's
	asked  time.Time // the group, to share out anew; zero where all is well since
}

// look takes in how the group was described, and how many partitions its topics have.
func (o *orphans) look(members []groupMember, partitions map[string]int32, now time.Time) {
	o.looked = now
	if !atRest(members) {
		o.since = nil
		return
	}
	if o.since == nil {
		o.since = make(map[topology.TopicPartition]time.Time)
	}
	for topic, n := range partitions {
		for p := range n {
			tp := topology.TopicPartition{Topic: topic, Partition: p}
			_, known := o.since[tp]
			switch {
			case slices.ContainsFunc(members, func(m groupMember) bool { return slices.Contains(m.owns[topic], p) }):
				delete(o.since, tp)
			case !known:
				o.since[tp] = now
			}
		}
	}
	if len(o.since) == 0 {
		o.asked = time.Time{}
	}
}

// asks reports whether to ask the group now: no sooner again than after the time that its
// members have to join, since nothing is committed while they do.
func (o *orphans) asks(again time.Duration) bool {
	left, _ := o.left()
	if len(left) == 0 || o.looked.Sub(o.asked) < again {
		return false
	}
	o.asked = o.looked
	return true
}

// left are those that have been nobody's for too long, and since when.
func (o *orphans) left() (partitions []string, since time.Time) {
	for tp, at := range o.since {
		if o.looked.Sub(at) < orphanLimit {
			continue
		}
		partitions = append(partitions, tp.String())
		if since.IsZero() || at.Before(since) {
			since = at
		}
	}
	slices.Sort(partitions)
	return partitions, since
}

// feel reports a standstill of what nobody has, as that of a worker is.
func (o *orphans) feel() stall {
	partitions, since := o.left()
	return stall{since, "the group to give " + some(partitions) + " to somebody"}
}

// atRest reports whether the group has members, and is in no rebalance: during one,
// brokers say nothing of what members read.
func atRest(members []groupMember) bool {
	return len(members) > 0 && !slices.ContainsFunc(members, func(m groupMember) bool { return m.topics == nil })
}

// adopt has the group share out anew where it has left partitions to nobody for too long.
func (p *process) adopt(members []groupMember, partitions map[string]int32) {
	p.orphans.look(members, partitions, time.Now())
	if !p.orphans.asks(p.cfg.rebalanceTimeout()) {
		return
	}
	left, _ := p.orphans.left()
	p.cfg.Log.Warn("the group has given partitions to nobody, and is asked to share out anew", "partitions", some(left))
	if cl := p.worker.client.Load(); cl != nil { // any member can ask: what it tells of itself has changed since it joined
		cl.ForceRebalance()
	}
}
