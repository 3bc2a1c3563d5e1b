package simulator

// How Opentact's callers are passed on. The leg of whoever passes a caller on ends
// with a cause of FreeSWITCH that says so; which leg the caller went to, nothing
// says but that it was there.

// hop is one way of passing a caller on from one leg, and returns the leg that has
// the caller then; nil where the call is over.
type hop func(o *opentactFeed, a, from *opentactLeg) *opentactLeg

// hops are the ways that go on, ends those after which the call is over.
var (
	hops = []hop{
		(*opentactFeed).blind, (*opentactFeed).blind, (*opentactFeed).blindOverlapping, (*opentactFeed).blindParked, (*opentactFeed).blindToGroup,
		(*opentactFeed).attended, (*opentactFeed).attended, (*opentactFeed).attendedAtLast,
	}
	ends = []hop{
		(*opentactFeed).lostWhileItRings, (*opentactFeed).lostUnseen, (*opentactFeed).notTaken, (*opentactFeed).intoMailbox, (*opentactFeed).attendedUnlinked,
	}
)

// passOn passes the caller a on from b, up to three times, until the call is over.
func (o *opentactFeed) passOn(a, from *opentactLeg) {
	from.has = from.live
	for range 3 {
		if o.chance(0.25) {
			pick(o.draw, ends)(o, a, from)
			return
		}
		from = pick(o.draw, hops)(o, a, from)
		if o.chance(0.6) {
			break
		}
	}
	o.hangUp(a, from)
}

// passed says in the truth what became of a transfer by the user on from.
func (o *opentactFeed) passed(how failure, from, to *opentactLeg, result string) {
	p := passing{typ: "BLIND", result: result, by: from.to.raw}
	if how == opentactAttended {
		p.typ = "ATTENDED"
	}
	if to != nil {
		p.to = to.id
	}
	o.call.passedOn(p)
}

// taken ends from with how, and lets to talk to the caller.
func (o *opentactFeed) taken(how failure, from, to *opentactLeg) *opentactLeg {
	from.how = how
	to.has = max(to.live, from.hangup)
	to.hangup = to.has + 2000 + o.around(60_000)
	o.passed(how, from, to, "COMPLETED")
	return to
}

// blind passes on to a leg made when the old one has ended; the one who passes on
// may be a machine that does so within seconds.
func (o *opentactFeed) blind(a, from *opentactLeg) *opentactLeg {
	to := o.dial(a, from.hangup+o.between(20, 300))
	o.ringAndAnswer(to)
	return o.taken(opentactBlind, from, to)
}

// blindOverlapping passes on to a leg made before the old one has ended.
func (o *opentactFeed) blindOverlapping(a, from *opentactLeg) *opentactLeg {
	to := o.dial(a, from.hangup-o.between(20, min(2500, from.hangup-from.has-10)))
	o.ringAndAnswer(to)
	to.live = max(to.live, from.hangup+o.between(200, 5000))
	return o.taken(opentactBlind, from, to)
}

// blindParked keeps the old leg until the new one is answered, though the caller
// has left it.
func (o *opentactFeed) blindParked(a, from *opentactLeg) *opentactLeg {
	to := o.dial(a, from.hangup)
	o.ringAndAnswer(to)
	to.live = max(to.live, to.created+6000)
	from.hangup, from.until = to.live+o.between(1, 50), &to.started
	return o.taken(opentactBlind, from, to)
}

// blindToGroup passes on to several users, the first of whom takes the call.
func (o *opentactFeed) blindToGroup(a, from *opentactLeg) *opentactLeg {
	at := from.hangup + o.between(20, 300)
	to := o.dial(a, at+o.between(0, 50))
	o.ringAndAnswer(to)
	o.losers(a, at, to.live)
	return o.taken(opentactBlind, from, to)
}

// consult dials the one who is asked, below the leg of who asks or below the caller's.
func (o *opentactFeed) consult(a, from *opentactLeg, at int64) *opentactLeg {
	below := from
	if o.chance(0.3) {
		below = a
	}
	k := o.leg("out", below, at)
	k.from, k.to = party{raw: from.to.raw}, party{raw: o.extension("agent")}
	return k
}

// attended asks somebody, for seconds or minutes, and then connects the caller.
func (o *opentactFeed) attended(a, from *opentactLeg) *opentactLeg {
	to := o.consult(a, from, from.has+o.between(1000, 30_000))
	o.ringAndAnswer(to)
	from.hangup = to.live + 1000 + o.around(20_000)
	return o.taken(opentactAttended, from, to)
}

// attendedAtLast asks one who does not answer, or will not have the caller, and then
// another.
func (o *opentactFeed) attendedAtLast(a, from *opentactLeg) *opentactLeg {
	first := o.consult(a, from, from.has+o.between(1000, 30_000))
	if o.chance(0.5) {
		o.ringAndAnswer(first)
		first.hangup = first.live + o.between(2000, 20_000)
	} else {
		o.fail(first, pick(o.draw, opentactFailures))
	}
	to := o.consult(a, from, first.hangup+o.between(500, 8000))
	o.ringAndAnswer(to)
	from.hangup = to.live + 1500 + o.around(10_000)
	return o.taken(opentactAttended, from, to)
}

// lostWhileItRings is a caller who leaves while the one to whom he is passed on is
// rung. The old leg may stay parked for a minute, or the new one be answered too late.
func (o *opentactFeed) lostWhileItRings(a, from *opentactLeg) *opentactLeg {
	from.how = opentactBlind
	to := o.dial(a, from.hangup+o.between(20, 300))
	to.ring = to.init + o.between(100, 3000)
	a.hangup = to.ring + o.between(500, 20_000)
	if o.chance(0.2) {
		to.live = a.hangup + o.between(150, 400) // later than the caller's leg is told to be gone
		to.hangup = to.live + o.between(200, 1500)
	} else {
		to.how, to.hangup = pick(o.draw, opentactCancels), a.hangup+o.between(5, 60)
	}
	if o.chance(0.3) {
		from.hangup = max(to.created+6000, a.hangup) + o.between(500, 55_000)
		from.until = &to.started
	}
	o.passed(opentactBlind, from, to, "FAILED")
	o.call.truth.HangupParty = "CALLER"
	return nil
}

// lostUnseen is a caller who leaves before anybody is called.
func (o *opentactFeed) lostUnseen(a, from *opentactLeg) *opentactLeg {
	from.how = opentactBlind
	a.hangup = from.hangup
	from.hangup += o.between(2000, 55_000)
	o.passed(opentactBlind, from, nil, "FAILED")
	o.call.truth.HangupParty = "CALLER"
	return nil
}

// notTaken is a caller who is passed on to somebody who does not answer.
func (o *opentactFeed) notTaken(a, from *opentactLeg) *opentactLeg {
	from.how = opentactBlind
	to := o.dial(a, from.hangup-o.between(-300, min(100, from.hangup-from.has-10)))
	o.fail(to, pick(o.draw, opentactFailures))
	a.hangup = max(to.hangup, from.hangup) + o.between(300, 9000)
	o.passed(opentactBlind, from, to, "FAILED")
	return nil
}

// intoMailbox is a caller who is passed on and leaves a message; the new leg's steps
// say so, or the caller's.
func (o *opentactFeed) intoMailbox(a, from *opentactLeg) *opentactLeg {
	from.how = opentactBlind
	to := o.dial(a, from.hangup+o.between(20, 300))
	o.ringAndAnswer(to)
	to.hangup = to.live + o.around(20_000)
	a.hangup = to.hangup + o.between(10, 80)
	to.machine = moment{to.live, "REPORTED"}
	teller := pick(o.draw, []*opentactLeg{a, to})
	teller.logs = o.dialLogs(to.live, "success", true)
	teller.mailbox = []*moment{&to.machine}
	o.passed(opentactBlind, from, to, "FAILED")
	return nil
}

// attendedUnlinked is a caller who is connected to somebody whom the transferor had
// asked in a call of its own: nothing tells where the caller went, nor for how long
// they talked.
func (o *opentactFeed) attendedUnlinked(a, from *opentactLeg) *opentactLeg {
	from.how = opentactAttended
	a.hangup = from.hangup + o.between(10, 80)
	if o.chance(0.7) {
		a.hangup += 6000 + o.around(60_000)
		o.call.outOfSight = true
	}
	o.passed(opentactAttended, from, nil, "UNKNOWN")
	return nil
}

// outboundPassedOn is a call that an agent makes, whose leg is the first one, and who
// passes the customer on to a colleague.
func (o *opentactFeed) outboundPassedOn(start int64) {
	agent := o.leg("out", nil, start)
	agent.from, agent.to = o.plus(), party{raw: o.extension("agent")}
	o.ringAndAnswer(agent)
	customer := o.leg("out", agent, agent.live+o.between(50, 300))
	customer.from, customer.to = agent.from, o.plus()
	o.ringAndAnswer(customer)
	agent.hangup = customer.live + 2000 + o.around(60_000)
	agent.talks = []span{}
	t := &o.call.truth
	t.Direction, t.From, t.To = "OUTBOUND", agent.from, agent.to
	o.answered("NORMAL")
	customer.until, o.call.caller = &agent.ended, customer.leg
	var to *opentactLeg
	if o.chance(0.5) {
		to = o.leg("out", agent, agent.hangup+o.between(20, 300))
		o.ringAndAnswer(to)
		to = o.taken(opentactBlind, agent, to)
	} else {
		to = o.leg("out", agent, customer.live+o.between(500, 20_000))
		o.ringAndAnswer(to)
		agent.hangup = to.live + o.between(1500, 40_000)
		to = o.taken(opentactAttended, agent, to)
	}
	to.from, to.to = agent.from, party{raw: o.extension("agent")}
	customer.hangup = to.hangup + o.between(10, 80)
}
