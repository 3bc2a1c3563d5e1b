package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ErrInUse is a group with members, where there must be none.
var ErrInUse = errors.New("the group is in use")

// requireEmpty holds that nobody is in a group, as what changes its offsets or its state
// from outside needs. It names who is.
func requireEmpty(ctx context.Context, cl *kgo.Client, group string) error {
	members, err := whenLoaded(ctx, func() ([]groupMember, error) { return groupMembers(ctx, cl, group) })
	if err != nil || len(members) == 0 {
		return err
	}
	who := make([]string, len(members))
	for i, m := range members {
		who[i] = fmt.Sprintf("%s at %s", cmp.Or(m.client, m.id), strings.TrimPrefix(m.host, "/"))
	}
	slices.Sort(who)
	// Brokers do not tell when they last heard of a member.
	return fmt.Errorf("%w: %s has %d members: %s: stop all instances, and whoever else is in it, first; one that was killed is out of it within %v, so at %s those that are still named live",
		ErrInUse, group, len(members), strings.Join(who, ", "), defaultSessionTimeout, time.Now().Add(defaultSessionTimeout+time.Second).UTC().Format("15:04:05 UTC"))
}
