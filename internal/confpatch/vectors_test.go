package confpatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/javatext"
	"flink-entrypoint/internal/yaml"
)

// outcome is what reading a conf dir gives, in the form of testdata/expected (made by real Flink).
type outcome struct {
	Map     map[string]string `json:"map"`
	Types   map[string]string `json:"types"`
	Error   []string          `json:"error"`
	Log     []string          `json:"log"`
	Flatten json.RawMessage   `json:"flatten"`
}

// read is our side of an outcome.
func read(t testing.TB, v flinkversion.Version, dir string) outcome {
	name, format, ok := InForce(v, func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	})
	if !ok {
		return outcome{Error: []string{flinkconf.IllegalConfiguration + ": The Flink config file '<CONF>/" + name + "' (<CONF>/" + name + ") does not exist."}}
	}
	src, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return readBytes(t, v, name, format, src)
}

func readBytes(t testing.TB, v flinkversion.Version, name string, format Format, src []byte) outcome {
	var o outcome
	f, err := Parse(name, format, v, src)
	var se *SyntaxError
	if errors.As(err, &se) {
		o.Error = se.Flink.Chain()
		o.Log = logText(se.Log)
		return o
	} else if err != nil {
		t.Fatalf("%v is not a *SyntaxError", err)
	}
	o.Map, o.Types = map[string]string{}, map[string]string{}
	for e := range f.Conf().All() {
		o.Map[loneSurrogates(e.Key, "\ufffd")] = loneSurrogates(e.Value.Reveal(), "\ufffd")
		v := f.leaves[f.winner[e.Key]].value
		class := v.JavaClass()
		typeKey := loneSurrogates(e.Key, "\ufffd")
		o.Types[typeKey] = class[strings.LastIndexByte(class, '.')+1:]
		if v.Kind == yaml.BytesValue {
			o.Types[typeKey] = "byte[]"
		} else if v.Kind != yaml.SetValue && e.Kind.String() != o.Types[typeKey] {
			t.Errorf("%s: Kind %s, class %s", e.Key, e.Kind, class)
		}
	}
	o.Log = logText(f.Log())
	if lines := f.ShellLines(); lines != nil {
		for i := range lines {
			lines[i] = loneSurrogates(lines[i], "\ufffd")
		}
		o.Flatten, _ = json.Marshal(lines)
	}
	return o
}

// loneSurrogates replaces what we keep of half a surrogate pair by what JSON or Java's streams show instead.
func loneSurrogates(s, by string) string {
	for i := 0; i+2 < len(s); i++ {
		if s[i] == 0xED && s[i+1] >= 0xA0 {
			s = s[:i] + by + s[i+3:]
		}
	}
	return s
}

func logText(lines []LogLine) []string {
	out := []string{}
	for _, l := range lines {
		text := fmt.Sprintf("%-5s [] - %s", l.Level, l.Message.Reveal())
		if l.Level == "ERROR" && strings.HasPrefix(l.Message.Reveal(), yaml.EngineException) {
			text = l.Message.Reveal()
		}
		for _, line := range strings.Split(text, "\n") {
			if strings.TrimSpace(line) != "" {
				out = append(out, loneSurrogates(line, "?"))
			}
		}
	}
	return out
}

// anchorNumber: Flink numbers anchors over the life of a JVM, so the number depends on what it read before.
var anchorNumber = regexp.MustCompile(`([&*])id\d+`)

func normal(s string) string { return anchorNumber.ReplaceAllString(s, "${1}id") }

// diff compares an outcome with Flink's.
func (got outcome) diff(want outcome) string {
	var b strings.Builder
	report := func(what string, got, want any) {
		g, _ := json.Marshal(got)
		w, _ := json.Marshal(want)
		if gs, ws := normal(string(g)), normal(string(w)); gs != ws {
			fmt.Fprintf(&b, "%s:\n  got  %s\n  want %s\n", what, gs, ws)
		}
	}
	empty := func(m map[string]string) map[string]string {
		if m == nil {
			return map[string]string{}
		}
		return m
	}
	if len(want.Error) == 1 && strings.HasPrefix(want.Error[0], "java.lang.OutOfMemoryError") {
		want.Error = []string{javatext.StackOverflow + ": null"} // whichever a cycle meets first
	}
	report("error", append([]string{}, got.Error...), append([]string{}, want.Error...))
	report("map", empty(got.Map), empty(want.Map))
	report("types", empty(got.Types), empty(want.Types))
	report("log", append([]string{}, got.Log...), append([]string{}, want.Log...))
	var lines []string
	if json.Unmarshal(want.Flatten, &lines) == nil && want.Flatten != nil && want.Error == nil {
		var ours []string
		json.Unmarshal(got.Flatten, &ours)
		if !reflect.DeepEqual(append([]string{}, ours...), append([]string{}, lines...)) {
			report("flatten", ours, lines)
		}
	}
	return b.String()
}

// vectorDirs are the folders with cases and expected; FLINK_ENTRYPOINT_VECTORS adds one whose subfolder
// config is laid out alike.
func vectorDirs() []string {
	dirs := []string{"testdata"}
	if extra := os.Getenv("FLINK_ENTRYPOINT_VECTORS"); extra != "" {
		dirs = append(dirs, filepath.Join(extra, "config"))
	}
	return dirs
}

func TestVectors(t *testing.T) {
	rows := 0
	for _, dir := range vectorDirs() {
		files, err := filepath.Glob(filepath.Join(dir, "expected", "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s/expected holds no vectors (%v)", dir, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var c struct {
				Case   string
				Groups []struct {
					Versions []string
					Result   outcome
				}
			}
			if err := json.Unmarshal(text, &c); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			for _, g := range c.Groups {
				for _, version := range g.Versions {
					rows++
					v, err := flinkversion.Parse(version)
					if err != nil {
						t.Fatal(err)
					}
					if d := read(t, v, filepath.Join(dir, "cases", c.Case)).diff(g.Result); d != "" {
						t.Errorf("%s on %s:\n%s", c.Case, version, d)
					}
				}
			}
		}
	}
	t.Logf("%d rows (case and version)", rows)
}
