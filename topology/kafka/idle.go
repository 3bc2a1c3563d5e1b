package kafka

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// requireEmpty holds that nobody is in a group, as what changes its offsets or its state
// from outside needs. It names who is.
func requireEmpty(ctx context.Context, cl *kgo.Client, group string) error {
	members, err := whenLoaded(ctx, func() ([]groupMember, error) { return groupMembers(ctx, cl, group) })
	if err != nil || len(members) == 0 {
		return err
	}
	who := make([]string, len(members))
	for i, m := range members {
		who[i] = fmt.Sprintf("%s at %s", cmp.Or(m.client, m.id), m.host)
	}
	slices.Sort(who)
	return fmt.Errorf("group %s has %d members: %s: stop all instances, and whoever else is in it, first; one that was killed leaves after %v",
		group, len(members), strings.Join(who, ", "), defaultSessionTimeout)
}
