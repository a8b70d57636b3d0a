package jobdef_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"flink-entrypoint/internal/jobdef"
)

// FuzzDecode gives any bytes to the decoder. It must answer with a definition or with problems that have a place,
// and a definition's strings must resolve without a panic.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"../../examples/full.yaml", "../../examples/clicks-per-minute.yaml"} {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	b, err := os.ReadFile("testdata/errors.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, section := range strings.Split(string(b), "=== ")[1:] {
		_, rest, _ := strings.Cut(section, "\n")
		document, _, _ := strings.Cut(rest, "---> ")
		f.Add([]byte(document))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		def, err := jobdef.Decode("d", src)
		if err == nil {
			if name, plain := def.Name.Plain(); plain && (name == "" || !utf8.ValidString(name)) {
				t.Errorf("the name is %q", name)
			}
			return
		}
		var all *jobdef.Errors
		if !errors.As(err, &all) || def != nil || len(all.List) == 0 || !utf8.ValidString(err.Error()) {
			t.Fatalf("%v, %q", def, err)
		}
		for i, p := range all.List {
			if p.Line < 1 || p.Column < 1 || p.Message == "" || strings.ContainsAny(p.Message, "\n\x1b") || i > 0 && p.Line < all.List[i-1].Line {
				t.Errorf("problem %+v", p)
			}
		}
		if inner, err := jobdef.Pointer(src, "/a/0"); err == nil && inner == nil {
			t.Error("a pointer to nothing")
		}
	})
}
