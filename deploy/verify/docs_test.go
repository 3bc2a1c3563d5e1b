package verify

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// yamlBlock is a block of YAML in a document.
var yamlBlock = regexp.MustCompile("(?ms)^```ya?ml\n(.*?)^```")

// required are the keys that a configuration cannot do without; a document's
// example may leave them out.
var required = map[string]string{
	"kafka:":   "kafka: {brokers: [\"127.0.0.1:9092\"]}\n",
	"sources:": "sources: [{topic: call.raw}]\n",
}

// TestConfigurationsInDocuments has the program read every configuration that
// the documents show: every block of YAML, but those that begin with the
// comment "# not callstitch's". Those that name certificates are read where there are
// some: cmd/callstitch/internal/config does.
func TestConfigurationsInDocuments(t *testing.T) {
	program := filepath.Join(t.TempDir(), "callstitch")
	run(t, nil, "go", "build", "-o", program, "./cmd/callstitch")
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	documents = append(documents, filepath.Join(root, "README.md"))
	for _, name := range documents {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range yamlBlock.FindAllStringSubmatch(string(content), -1) {
			if strings.HasPrefix(m[1], "# not callstitch's") || strings.Contains(m[1], "cert_file: /") {
				continue
			}
			t.Run(filepath.Base(name), func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "callstitch.yaml")
				if err := os.WriteFile(file, []byte(complete(m[1])), 0o644); err != nil {
					t.Fatal(err)
				}
				run(t, nil, program, "topology", "-c", file)
			})
		}
	}
}

// figure is a measured number of a page, of two digits at least.
var figure = regexp.MustCompile(`\d[\d,.]*\d`)

// TestSizingIsOfWhatWasMeasured holds the figures that the table of docs/sizing.md says it
// comes from against docs/performance.md: who measures again finds what is to be changed.
func TestSizingIsOfWhatWasMeasured(t *testing.T) {
	measured := map[string]bool{}
	for _, f := range figure.FindAllString(read(t, "docs/performance.md"), -1) {
		measured[f] = true
	}
	_, table, _ := strings.Cut(read(t, "docs/sizing.md"), "\n## The table\n")
	table, _, _ = strings.Cut(table, "\n## ")
	rows := 0
	for row := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSuffix(strings.TrimSpace(row), "|"), "|")
		if len(cells) != 4 {
			continue
		}
		for _, f := range figure.FindAllString(cells[3], -1) {
			rows++
			if !measured[f] {
				t.Errorf("%s: performance.md has no %s", strings.TrimSpace(cells[1]), f)
			}
		}
	}
	if rows < 30 {
		t.Errorf("the table names %d figures", rows)
	}
}

// complete adds what a document's example leaves out.
func complete(config string) string {
	for key, line := range required {
		if !strings.HasPrefix(config, key) && !strings.Contains(config, "\n"+key) {
			config += line
		}
	}
	return config
}
