package kafka

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"pgregory.net/rapid"
)

// A bookmark has what was added to it and nothing else, whatever the order, and also
// after it was written and read.
func TestBookmark(t *testing.T) {
	topic := kadm.TopicID{1, 2, 3}
	rapid.Check(t, func(t *rapid.T) {
		const end = 200
		b := &bookmark{floor: rapid.Int64Range(0, 20).Draw(t, "floor")}
		var want [end]bool
		for o := range b.floor {
			want[o] = true
		}
		for range rapid.IntRange(0, 40).Draw(t, "stretches") {
			from := rapid.Int64Range(0, end-1).Draw(t, "from")
			to := min(end, from+rapid.Int64Range(0, 9).Draw(t, "length"))
			b.add(from, to)
			for o := from; o < to; o++ {
				want[o] = true
			}
		}
		read, err := parseBookmark(b.floor, b.metadata(topic), topic)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range []*bookmark{b, read} {
			for o, sent := range want {
				if b.has(int64(o)) != sent {
					t.Fatalf("%+v: %d: %t, want %t", b, o, b.has(int64(o)), sent)
				}
			}
			for i, s := range b.sent {
				if s.from >= s.to || i == 0 && s.from <= b.floor || i > 0 && s.from <= b.sent[i-1].to {
					t.Fatalf("%+v is not in order, or not apart", b)
				}
			}
		}
	})
}

// One that brokers would not take gives up what was left longest ago, never what was
// sent.
func TestBookmarkFits(t *testing.T) {
	b, topic := new(bookmark), kadm.TopicID{1}
	const turns = 100_000
	for i := int64(0); i < turns; i++ {
		b.add(1_000*i+1, 1_000*i+500)
		if i%1000 == 0 || i > turns-10 {
			if n := len(b.metadata(topic)); n > bookmarkMax {
				t.Fatalf("%d bytes", n)
			}
		}
	}
	read, err := parseBookmark(b.floor, b.metadata(topic), topic)
	if err != nil {
		t.Fatal(err)
	}
	if b.passed != b.floor || b.floor < 1000 {
		t.Errorf("it says that it passed over what was left before %d, and has before %d", b.passed, b.floor)
	}
	if len(read.sent) < 500 {
		t.Errorf("only %d stretches are kept", len(read.sent))
	}
	for i := int64(0); i < turns; i++ {
		if !read.has(1_000*i+1) || !read.has(1_000*i+499) {
			t.Fatalf("turn %d was sent, and is forgotten", i)
		}
	}
	if read.has(1_000*(turns-1)) || read.has(1_000*turns) {
		t.Error("what was left last is done")
	}
}

// One that fits passes over nothing, however much was sent.
func TestBookmarkPassesOverNothing(t *testing.T) {
	b := new(bookmark)
	for i := range int64(500) {
		b.add(100*i+1, 100*i+50)
	}
	b.add(0, 1_000_000)
	if b.metadata(kadm.TopicID{1}); b.passed != 0 || b.floor != 1_000_000 {
		t.Errorf("it says that it passed over what was left before %d, of %d", b.passed, b.floor)
	}
}

func TestBookmarkOfAnother(t *testing.T) {
	topic := kadm.TopicID{1}
	good := (&bookmark{floor: 5, sent: []stretch{{7, 9}}}).metadata(topic)
	if _, err := parseBookmark(5, good, kadm.TopicID{2}); !errors.Is(err, errOtherTopic) {
		t.Errorf("of another topic: %v", err)
	}
	for _, text := range []string{"", "1", "2 x y", "1 " + topic.String() + " ?", "1 " + topic.String() + " AAAA", good + "g"} {
		if b, err := parseBookmark(5, text, topic); !errors.Is(err, errForeign) {
			t.Errorf("%q is read as %+v, %v", text, b, err)
		}
	}
}
