package kafka

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"

	"callstitch/processor/number"
)

// Two configurations with one application_id share a group and its state: each would
// publish sessions of the other's calls, into topics where nobody looks for them (K32).
// What must agree is little, so that a configuration can be changed instance by instance:
//
//   - The output topics are the same for everybody who has worked with the state, until
//     the generation is raised. A mark beside the offsets of the exchange says which
//     they were, and what a member says when it joins, which they are.
//   - The generation does not fall: a session is published from one partition of the
//     exchange, and whoever takes that over with a lower one would publish records which
//     all readers take for older than those that they have. The same mark has it. While a
//     higher one comes in instance by instance, those with the lower go on with what they
//     have, and end where they get a partition that a higher one has worked on.
//   - Two instances that run at once show numbers in one way, or readers could join the
//     records of neither, and one would tell what the other hides. No mark says which, so
//     those that run look at each other, too.
//   - Of the sources of two instances that run at once, those of one contain those of
//     the other; and an instance has at least one source that the group has read.

// outputsMark tells apart sets of output topics: #GENERATION.HASH.
type outputsMark struct {
	generation int32
	hash       string
}

const markBegins = "#"

func (o outputsMark) String() string {
	return markBegins + strconv.Itoa(int(o.generation)) + "." + o.hash
}

func parseOutputsMark(word string) (o outputsMark, ok bool) {
	generation, hash, found := strings.Cut(strings.TrimPrefix(word, markBegins), ".")
	n, err := strconv.ParseInt(generation, 10, 32)
	return outputsMark{int32(n), hash}, found && err == nil && strings.HasPrefix(word, markBegins)
}

// outputs is the mark of a configuration. The topic of settled sessions is not in it: the
// mark is as old as the state, and stays what it was where sessions begin to settle.
func (c *Config) outputs() outputsMark {
	t := c.Topics
	sum := sha256.Sum256([]byte(strings.Join([]string{t.Events, t.Sessions, t.Legs, t.Rejects, t.Audit}, "\n")))
	return outputsMark{c.Stitch.Generation, hex.EncodeToString(sum[:4])}
}

// checkMark compares where this configuration publishes to, and as which generation, with
// what the state was published as.
func (c *Config) checkMark(stored outputsMark) error {
	own := c.outputs()
	switch {
	case stored.hash == "" || stored.generation < own.generation:
		return nil
	case stored.hash != own.hash:
		return fmt.Errorf("%w: group %s has published to other topics than %s and those beside it: another configuration has this application_id: choose another one; or, to change the topics for good, stop all instances and raise generation above %d",
			ErrTopicMismatch, c.ApplicationID, c.Topics.Sessions, stored.generation)
	case stored.generation > own.generation:
		return fmt.Errorf("%w: group %s has come to generation %d, and generation is %d: all readers would take what is published under it for older than what they have: set generation: %d",
			ErrGeneration, c.ApplicationID, stored.generation, own.generation, stored.generation)
	}
	return nil
}

// checkWorkedWith compares the configuration with what the group has worked with.
func checkWorkedWith(cfg *Config, committed kadm.OffsetResponses) error {
	var read []string
	for topic, partitions := range committed {
		if topic != cfg.ExchangeTopic() && len(partitions) > 0 {
			read = append(read, topic)
		}
	}
	slices.Sort(read)
	known := slices.ContainsFunc(read, func(t string) bool { return slices.Contains(cfg.rawTopics(), t) })
	if len(read) > 0 && !known {
		return fmt.Errorf("%w: group %s has read %s, and none of the sources %s: another configuration has this application_id: choose another one; or, where the sources were replaced for good, delete the offsets of the old ones with kafka-consumer-groups.sh --delete-offsets",
			ErrTopicMismatch, cfg.ApplicationID, strings.Join(read, ", "), strings.Join(cfg.rawTopics(), ", "))
	}
	for _, o := range committed[cfg.ExchangeTopic()] {
		m, err := parseMetadata(o.Metadata)
		if err != nil {
			continue // who looks at the offset says so
		}
		if err := cfg.checkMark(m.outputs); err != nil {
			return err
		}
	}
	return nil
}

// checkBeside compares the configuration with those of the instances that run. An
// earlier life of this one may still be in the group.
func checkBeside(cfg *Config, members []groupMember) error {
	for _, m := range members {
		if life, own := strings.CutPrefix(m.instance, cfg.self); cfg.self != "" && own && !strings.Contains(life, "-") {
			continue
		}
		if m.outputs != "" && m.outputs != cfg.outputs().hash {
			return fmt.Errorf("%w: instance %s, which runs in group %s, publishes to other topics than %s and those beside it: another configuration has this application_id: choose another one; or stop all instances first",
				ErrTopicMismatch, m.instance, cfg.ApplicationID, cfg.Topics.Sessions)
		}
		if own := cfg.Numbers.String(); m.outputs != "" && m.numbers != own {
			return fmt.Errorf("%w: instance %s, which runs in group %s, shows numbers as %s, and this one would as %s (emit.numbers, and after the colon the id of the key): give all the same; to change it, stop all instances first",
				ErrTopicMismatch, m.instance, cfg.ApplicationID, m.numbers, own)
		}
		theirs := slices.DeleteFunc(slices.Clone(m.topics), func(t string) bool { return t == cfg.ExchangeTopic() })
		if len(theirs) > 0 && !contains(theirs, cfg.rawTopics()) && !contains(cfg.rawTopics(), theirs) {
			slices.Sort(theirs)
			return fmt.Errorf("%w: instance %s, which runs in group %s, reads %s, and this one would read %s: another configuration has this application_id: choose another one; or add sources in one change and remove them in the next",
				ErrTopicMismatch, m.instance, cfg.ApplicationID, strings.Join(theirs, ", "), strings.Join(cfg.rawTopics(), ", "))
		}
	}
	return nil
}

// checkBefore is checkBeside for an instance that runs: of two that began at once, and did
// not see each other, the one with the larger name ends.
func checkBefore(cfg *Config, members []groupMember) error {
	own := cfg.self + "0"
	return checkBeside(cfg, slices.DeleteFunc(slices.Clone(members), func(m groupMember) bool { return m.instance > own }))
}

// contains reports whether all of some topics are among others.
func contains(all, some []string) bool {
	return !slices.ContainsFunc(some, func(t string) bool { return !slices.Contains(all, t) })
}

// What a member says when it joins, beside its topics.
const (
	saysOutputs = "outputs="
	// saysNumbers is said only where they are not whole: a program that does not know of it
	// finds that the outputs are others, and does not start.
	saysNumbers = " numbers="
)

// says is the user data of a member.
func (c *Config) says() []byte {
	said := saysOutputs + c.outputs().hash
	if c.Numbers.Mode != number.Full {
		said += saysNumbers + c.Numbers.String()
	}
	return []byte(said)
}

// heard is what the user data of a member says; empty where it says nothing.
func heard(userData []byte) (outputs, numbers string) {
	said, numbers, hidden := strings.Cut(string(userData), saysNumbers)
	outputs, ok := strings.CutPrefix(said, saysOutputs)
	switch {
	case !ok:
		return "", ""
	case !hidden:
		numbers = number.Full.String()
	}
	return outputs, numbers
}
