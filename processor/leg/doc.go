// Package leg folds the events of one leg, which is one call id of one provider,
// into what is known of it. The fold is over the set of events: their order, and
// how often each of them comes, leave no trace but in counters. It knows no
// session: whatever follows from several legs together is elsewhere.
package leg
