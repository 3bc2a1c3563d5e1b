package kafka

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDocumentedTopicCommands holds the commands that make the internal topics
// by hand against what a start would make.
func TestDocumentedTopicCommands(t *testing.T) {
	page, err := os.ReadFile(operationsPage)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(page), "\\\n", "")
	documented := map[string]map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\$ kafka-topics\.sh .*--create --topic (\S+) (.*)$`).FindAllStringSubmatch(text, -1) {
		documented[m[1]] = map[string]string{}
		for _, c := range regexp.MustCompile(`--config (\S+?)=(\S+)`).FindAllStringSubmatch(m[2], -1) {
			documented[m[1]][c[1]] = c[2]
		}
	}
	cfg := Config{Config: testTopology(8)}
	cfg.ApplicationID = "callstitch"
	cfg = cfg.withDefaults()
	made := map[string]map[string]string{}
	for _, s := range cfg.topicSpecs() {
		if s.fixed {
			made[s.name] = s.create
		}
	}
	if diff := cmp.Diff(made, documented); diff != "" {
		t.Errorf("commands of %s (-made +documented):\n%s", operationsPage, diff)
	}
}
