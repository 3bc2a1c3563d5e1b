package kafka

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

// bookmark is which rejects of a partition were sent in again. It is committed in the
// transaction that sends them, as an offset and its metadata:
//
//	0 ▓▓▓▓▓▓▓▓▓▓▓▓ 120 ░░░ 123 ▓▓▓▓▓▓▓ 130 ░░░░░ 135 ▓▓▓ 138 ░░░
//	  all done      │            done             done
//	             offset     sent: [123,130) [135,138)
//
// What was looked at and left is not in it: it is looked at again the next time, when its
// cause may be mended.
type bookmark struct {
	floor int64     // all before it are done
	sent  []stretch // beyond it, in order, and apart

	// passed is the offset before which some were done without having been sent, since there
	// was no room for all; 0 where there was.
	passed int64
}

// stretch is the offsets from one to before another.
type stretch struct{ from, to int64 }

// has reports whether a reject was sent.
func (b *bookmark) has(offset int64) bool {
	if offset < b.floor {
		return true
	}
	i, found := slices.BinarySearchFunc(b.sent, offset, func(s stretch, at int64) int {
		switch {
		case s.to <= at:
			return -1
		case s.from > at:
			return 1
		}
		return 0
	})
	return found && b.sent[i].from <= offset
}

// add notes that the rejects from one offset to before another were sent.
func (b *bookmark) add(from, to int64) {
	from = max(from, b.floor)
	if from >= to {
		return
	}
	first, _ := slices.BinarySearchFunc(b.sent, from, func(s stretch, at int64) int { // those that meet it
		if s.to < at {
			return -1
		}
		return 1
	})
	last := first
	for ; last < len(b.sent) && b.sent[last].from <= to; last++ {
		from, to = min(from, b.sent[last].from), max(to, b.sent[last].to)
	}
	b.sent = slices.Replace(b.sent, first, last, stretch{from, to})
	b.rise(b.floor)
}

// rise makes all before an offset done.
func (b *bookmark) rise(to int64) {
	b.floor = max(b.floor, to)
	n := 0
	for n < len(b.sent) && b.sent[n].from <= b.floor {
		b.floor = max(b.floor, b.sent[n].to)
		n++
	}
	b.sent = b.sent[n:]
}

// bookmarkMax is how long the metadata of an offset may be: what brokers allow unless
// they are told otherwise (offset.metadata.max.bytes).
const bookmarkMax = 4096

const bookmarkForm = "1"

// metadata is what stands beside the floor: the topic that the offsets are of, and what
// was sent beyond, as differences. Where that is too long, the floor rises over the oldest:
// what was left among them is looked at only with --again. That takes more than a
// thousand turns between sent and left.
func (b *bookmark) metadata(topic kadm.TopicID) string {
	for {
		var stretches []byte
		at := b.floor
		for _, s := range b.sent {
			stretches = binary.AppendUvarint(stretches, uint64(s.from-at))
			stretches = binary.AppendUvarint(stretches, uint64(s.to-s.from))
			at = s.to
		}
		text := bookmarkForm + " " + topic.String() + " " + base64.RawStdEncoding.EncodeToString(stretches)
		if len(text) <= bookmarkMax {
			return text
		}
		b.rise(b.sent[len(b.sent)/8].to) // seldom, and then not at each commit
		b.passed = b.floor
	}
}

// errOtherTopic is a bookmark of a topic that is no more: another has its name now.
var errOtherTopic = errors.New("the bookmark is of another topic")

// parseBookmark reads an offset with what metadata has written beside it.
func parseBookmark(floor int64, text string, topic kadm.TopicID) (*bookmark, error) {
	words := strings.Split(text, " ")
	switch {
	case len(words) < 3 || words[0] != bookmarkForm:
		return nil, errForeign
	case words[1] != topic.String():
		return nil, errOtherTopic
	}
	stretches, err := base64.RawStdEncoding.DecodeString(words[2])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errForeign, err)
	}
	b, at := &bookmark{floor: floor}, floor
	for len(stretches) > 0 {
		gap, n := binary.Uvarint(stretches)
		length, m := binary.Uvarint(stretches[max(n, 0):])
		if n <= 0 || m <= 0 {
			return nil, errForeign
		}
		s := stretch{at + int64(gap), at + int64(gap) + int64(length)}
		if s.from < at || s.to <= s.from {
			return nil, errForeign
		}
		b.sent, at, stretches = append(b.sent, s), s.to, stretches[n+m:]
	}
	return b, nil
}
