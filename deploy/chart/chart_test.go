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
