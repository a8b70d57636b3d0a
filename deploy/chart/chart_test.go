package chart

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMade: the committed files are what deploy/ and the schemas make.
func TestMade(t *testing.T) {
	if testing.Short() {
		t.Skip("builds deploy/ a hundred times")
	}
	files, err := Make(os.DirFS(".."))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Error(err)
		} else if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is not what is made now (-made +committed): go run ./deploy/chart/make\n%s", name, diff)
		}
	}
	// A template that nothing makes any more would still be rendered.
	own := []string{"checks.yaml", "NOTES.txt", "_helpers.tpl"}
	entries, err := os.ReadDir("flink/templates")
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	for _, e := range entries {
		if files["flink/templates/"+e.Name()] != nil {
			made++
		} else if !slices.Contains(own, e.Name()) {
			t.Errorf("flink/templates/%s is neither made nor one of %v", e.Name(), own)
		}
	}
	if made < 10 {
		t.Errorf("only %d templates are made", made)
	}
}

// TestComponents: a component of deploy/ is in the chart, or in this list with the reason.
func TestComponents(t *testing.T) {
	absent := map[string]string{
		"official-image-rendered":   "configures an initContainer instead of the container, so it fits to no other component",
		"labels":                    "of other components",
		"metrics":                   "of pod-monitor and scrape-annotations",
		"high-availability-account": "of high-availability",
	}
	all := Values{Definition: Definition{Inline: "any", URL: "any"}}
	for _, c := range choices {
		c.choose(&all)
		all.Definition.Inline = "any"
	}
	have := all.components()
	entries, err := os.ReadDir("../components")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if slices.Contains(have, e.Name()) == (absent[e.Name()] != "") {
			t.Errorf("deploy/components/%s: in the chart %v, and the reason why it is not: %q", e.Name(), slices.Contains(have, e.Name()), absent[e.Name()])
		}
	}
}
