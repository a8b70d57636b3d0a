package confpatch

import "testing"

// TestHalfPairsInLists: a list becomes text by snakeyaml's Emitter, which joins half a surrogate pair with whatever follows.
// TestParseAgrees compares the same with Flink.
func TestHalfPairsInLists(t *testing.T) {
	for in, want := range map[string]string{
		`\ud800  `:     `["␠  "]`,                  // not a pair: both characters stay
		`\ud83dx`:      "[\"\U00011878\"]",         // a pair: x is gone
		`\udbff\ue000`: `["\U00110000"]`,           // no character of Unicode
		`\ud83d`:       `["\ud83d"]`,               // nothing follows
		`\ud83d\ude00`: "[😀]",                      // whole
		`x\ud83d😀`:     "[\"x\U0001F03D\\ude00\"]", // the first half of a pair is taken
	} {
		f, err := Parse(StandardName, Standard, version(t, "2.2.1"), []byte(`a: ["`+in+`"]`))
		if err != nil {
			t.Fatal(err)
		}
		e, ok := f.Conf().Get("a")
		if got := e.Value.Reveal(); !ok || got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}
