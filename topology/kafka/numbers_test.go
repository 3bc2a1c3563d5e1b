package kafka

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"callstitch/internal/docpage"
	"callstitch/processor/call"
	"callstitch/processor/number"
	"callstitch/topology"
	"callstitch/topology/topologytest"
)

func tokens(t *testing.T, secret string) number.Form {
	t.Helper()
	key, err := number.NewKey(strings.Repeat(secret, number.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	return number.Form{Mode: number.HMAC, Key: key}
}

// fictional are the digits of a number of the simulator, wherever they stand.
var fictional = regexp.MustCompile(`[2-9]\d\d55501\d\d`)

// TestNoNumberIsPublished searches all bytes of every output topic but that of rejects, whose
// records are raw, for the numbers of simulated calls; and the sessions are those that they
// are otherwise.
func TestNoNumberIsPublished(t *testing.T) {
	for name, form := range map[string]number.Form{"masked": {Mode: number.Masked}, "hmac": tokens(t, "a")} {
		t.Run(name, func(t *testing.T) {
			cfg := apache(t, 3)
			cfg.Numbers = form
			cfg.Stitch = topologytest.Minutes
			cfg.Stitch.Retention = testStitch.Retention
			cfg.Stitch.Settled, cfg.Stitch.SettledAfter = true, cfg.Stitch.Grace
			records := onTopic(cfg, topologytest.Traffic(43, 100).Shuffle(43, 3, time.Second, 0.1))
			numbers := map[string]bool{}
			for _, r := range records {
				for _, n := range fictional.FindAll(r.Value, -1) {
					numbers[string(n)] = true
				}
			}
			if len(numbers) < 80 {
				t.Fatalf("the calls have only %d numbers", len(numbers))
			}
			whole, err := topologytest.Memory(4, cfg.Stitch, records)
			if err != nil {
				t.Fatal(err)
			}
			hidden, w := topologytest.Last{}, form.Writer()
			for _, s := range whole.Sessions { // order: each has its own place
				hidden.Put(w.Output(s).(*call.Session))
			}
			feed(t, cfg, records)
			startRun(t, cfg)
			awaitPublished(t, cfg, hidden.Canonical(), 60*time.Second)
			awaitBooks(t, cfg, len(records), 20*time.Second)
			for _, sink := range cfg.Sinks() {
				if sink == topology.Rejects {
					continue
				}
				all := readRecords(t, cfg, cfg.Topics.Topic(sink))
				if len(all) == 0 {
					t.Errorf("no %s were published", sink)
				}
				for _, r := range all {
					text := bytes.Join([][]byte{r.Key, r.Value}, nil)
					for _, h := range r.Headers {
						text = append(append(text, h.Key...), h.Value...)
					}
					for _, n := range fictional.FindAll(text, -1) {
						if numbers[string(n)] {
							t.Fatalf("a record of %s has a number", sink)
						}
					}
				}
			}
		})
	}
}

// TestInstancesShowNumbersInOneWay starts instances beside one whose tokens have a key.
func TestInstancesShowNumbersInOneWay(t *testing.T) {
	cfg := apache(t, 2)
	cfg.Numbers = tokens(t, "a")
	first := startRun(t, cfg)
	for deadline := time.Now().Add(20 * time.Second); !first.status.Snapshot().Ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the first instance does not get ready")
		}
	}
	other := cfg
	other.InstanceID = "other"
	for name, form := range map[string]number.Form{"whole": {}, "masked": {Mode: number.Masked}, "another key": tokens(t, "b")} {
		t.Run(name, func(t *testing.T) {
			c := other
			c.Numbers = form
			refused(t, c, ErrTopicMismatch, "emit.numbers", cfg.Numbers.String(), form.String())
		})
	}
	second := startRun(t, other) // with the same key
	for deadline := time.Now().Add(20 * time.Second); !second.status.Snapshot().Ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("an instance with the same key does not get ready")
		}
	}
	for _, r := range []*run{first, second} {
		if err := r.stop(t); err != nil {
			t.Fatal(err)
		}
	}
	cfg.Numbers = number.Form{}
	startRun(t, cfg) // all have stopped
	feed(t, cfg, onTopic(cfg, topologytest.Calls(31, 5, time.Second).Shuffle(31, 2, time.Second, 0))[:4])
	awaitBalance(t, cfg, 4, 20*time.Second)
}

// TestOneOfTwoKeysAtOnce starts two instances at once, each with a key of its own, as where
// each machine has made one: one of them goes on.
func TestOneOfTwoKeysAtOnce(t *testing.T) {
	cfg := apache(t, 2)
	makeTopics(t, cfg)
	var runs []*run
	for _, name := range []string{"a", "b"} {
		c := cfg
		c.InstanceID, c.Numbers = name, tokens(t, name)
		runs = append(runs, startRun(t, c))
	}
	over := func(r *run) bool { return r.status.Snapshot().State == Stopped }
	for deadline := time.Now().Add(30 * time.Second); !slices.ContainsFunc(runs, over); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("both go on")
		}
	}
	runs = slices.DeleteFunc(runs, func(r *run) bool {
		if !over(r) {
			return false
		}
		endedWith(t, ends(t, r, time.Second), ErrTopicMismatch, "emit.numbers")
		return true
	})
	time.Sleep(2 * retryInterval)
	if len(runs) != 1 || over(runs[0]) {
		t.Error("both have ended")
	}
}

// TestWhatAMemberSays is what instances of all versions read.
func TestWhatAMemberSays(t *testing.T) {
	cfg := Config{Config: testTopology(4)}
	whole := string(cfg.says())
	if whole != saysOutputs+cfg.outputs().hash {
		t.Errorf("with whole numbers it says %s, and earlier programs say nothing of them", whole)
	}
	if outputs, numbers := heard([]byte(whole)); outputs != cfg.outputs().hash || numbers != "full" {
		t.Errorf("heard %s and %s", outputs, numbers)
	}
	cfg.Numbers = tokens(t, "a")
	if outputs, numbers := heard(cfg.says()); outputs != cfg.outputs().hash || numbers != cfg.Numbers.String() {
		t.Errorf("heard %s and %s", outputs, numbers)
	}
	if before, ok := strings.CutPrefix(string(cfg.says()), saysOutputs); !ok || before == cfg.outputs().hash {
		t.Errorf("an earlier program takes %s for its own outputs", before)
	}
	if outputs, numbers := heard([]byte("sticky")); outputs != "" || numbers != "" {
		t.Errorf("of another client, heard %s and %s", outputs, numbers)
	}
}

// TestErase takes one number out of a compacted topic as docs/privacy.md has it: with its
// command, in which names and addresses are those of the test, and a shorter time.
func TestErase(t *testing.T) {
	section := string(docpage.Read(t, "../../docs/privacy.md").Section(t, "## Erasing a number"))
	command := regexp.MustCompile(`(?m)^ *\$ (printf .*\| kcat .*)$`).FindStringSubmatch(section)
	settings := regexp.MustCompile(`--add-config (max\.compaction\S*)`).FindAllStringSubmatch(section, -1)
	if command == nil || len(settings) != 2 {
		t.Fatalf("the page has the commands %q and %q", command, settings)
	}
	cfg := apache(t, 2)
	records := onTopic(cfg, topologytest.Calls(44, 30, 10*time.Second).Shuffle(44, 2, time.Second, 0))
	feed(t, cfg, records)
	r := startRun(t, cfg)
	awaitPublished(t, cfg, reference(t, records), 60*time.Second)
	if err := r.stop(t); err != nil {
		t.Fatal(err)
	}

	// Who called most, and in which sessions.
	of := map[string][]string{}
	all := published(t, cfg)
	for id, s := range all { // order: any number will do
		if from, ok := s["from_e164"].(string); ok {
			of[from] = append(of[from], id)
		}
	}
	var number string
	for n, ids := range of { // order: any number will do
		if len(ids) >= len(of[number]) {
			number = n
		}
	}
	holds := func() (n int) {
		for _, rec := range readRecords(t, cfg, cfg.Topics.Sessions) {
			if bytes.Contains(rec.Value, []byte(number)) {
				n++
			}
		}
		return n
	}
	if number == "" || holds() == 0 {
		t.Fatal("no session has a number")
	}
	cl := client(t, cfg)
	defer cl.Close()
	var change []kadm.AlterConfig
	for setting := range strings.SplitSeq(strings.ReplaceAll(settings[1][1], "60000", "500"), ",") {
		name, value, _ := strings.Cut(setting, "=")
		change = append(change, kadm.AlterConfig{Name: name, Value: &value})
	}
	answers, err := kadm.NewClient(cl).AlterTopicConfigs(t.Context(), change, cfg.Topics.Sessions)
	if err == nil {
		err = answers[0].Err
	}
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for id, s := range all { // order: they are written all at once
		if strings.Contains(fmt.Sprint(s), number) {
			ids = append(ids, id)
		}
	}
	shell := strings.NewReplacer("kafka-1:9092", cfg.Brokers[0], "call.sessions", cfg.Topics.Sessions).Replace(command[1])
	for deadline := time.Now().Add(90 * time.Second); holds() > 0; time.Sleep(2 * time.Second) {
		if time.Now().After(deadline) {
			t.Fatalf("%d records still have it", holds())
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-c", shell)
		cmd.Env = append(os.Environ(), "SESSION_IDS="+strings.Join(ids, " "))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", shell, err, out)
		}
	}
	left := map[string]bool{}
	for _, rec := range readRecords(t, cfg, cfg.Topics.Sessions) {
		if rec.Value != nil {
			left[string(rec.Key)] = true
		}
	}
	if len(left) != len(all)-len(ids) {
		t.Errorf("of %d sessions %d are left, after %d were erased", len(all), len(left), len(ids))
	}
}
