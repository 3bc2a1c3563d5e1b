package docpage

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const text Page = "# One\n\n## Keys\n\n| key | text |\n|---|---|\n| `a`, `b` | `no` |\n| 3 | x |\n\n### Deeper\n\n" +
	"```yaml\nk: v\n```\n\n```json\n{}\n```\n\n## Next\n\n| `z` | y |\n"

func TestPage(t *testing.T) {
	keys := text.Section(t, "## Keys")
	for what, test := range map[string]struct{ got, want []string }{
		"first cells":                     {keys.FirstCells(), []string{"key", "`a`, `b`", "3"}},
		"first words":                     {keys.FirstWords(), []string{"a", "b"}},
		"blocks":                          {keys.Blocks("yaml"), []string{"k: v\n"}},
		"a section ends at its own level": {text.Section(t, "### Deeper").Blocks("json"), []string{"{}\n"}},
		"no block":                        {text.Section(t, "## Next").Blocks("json"), nil},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	if !keys.HasWord("no") || keys.HasWord("z") || keys.HasWord("x") {
		t.Error("HasWord is not right")
	}
}
