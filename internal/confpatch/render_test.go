package confpatch

import (
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/secret"
)

func version(t testing.TB, s string) flinkversion.Version {
	v, err := flinkversion.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func set(key, value string) Change {
	return Change{Key: key, Value: secret.Public(value), Source: "test"}
}

func del(key string) Change { return Change{Key: key, Delete: true} }

// generated is the block that Render adds for lines.
func generated(lines ...string) string {
	var b strings.Builder
	b.WriteString("# >>> flink-entrypoint header\n")
	for _, l := range lines {
		b.WriteString("# test\n" + l + "\n")
	}
	return b.String() + "# <<< flink-entrypoint\n"
}

func TestRenderStandard(t *testing.T) {
	for _, c := range []struct {
		name    string
		in      string
		changes []Change
		want    string
	}{
		{"no change", "a: 1 # c\r\n b", nil, "a: 1 # c\r\n b"},
		{"flat", "# top\na: 1 # one\n\nb: 2\n", []Change{set("a", "3")}, "# top\n\nb: 2\n" + generated("a: 3")},
		{"delete only", "a: 1\nb: 2\n", []Change{del("a")}, "b: 2\n"},
		{"delete what is not there", "a: 1\n", []Change{del("x")}, "a: 1\n"},
		{"nested", "a:\n  # keep\n  b: 1\n  c: 2\n", []Change{set("a.b", "3")}, "a:\n  # keep\n  c: 2\n" + generated("a.b: 3")},
		{"nested, section empties", "x: 1\na:\n  # about b\n  b: 1\ny: 2\n", []Change{set("a.b", "3")}, "x: 1\ny: 2\n" + generated("a.b: 3")},
		{"nested, inner section empties", "a:\n  b:\n    c: 1\n  d: 2\n", []Change{del("a.b.c")}, "a:\n  d: 2\n"},
		{"flat and nested", "a.b: 1\na:\n  b: 2\n  c: 3\n", []Change{set("a.b", "4")}, "a:\n  c: 3\n" + generated("a.b: 4")},
		{"quoted key", "'a.b': 1\n\"c\": 2\n", []Change{del("a.b"), del("c")}, ""},
		{"commented out", "#a: 1\n# a: 2\nb: 1\n", []Change{set("a", "3")}, "#a: 1\n# a: 2\nb: 1\n" + generated("a: 3")},
		{"prefix of another", "a.b: 1\na.b.c: 2\na.bc: 3\n", []Change{set("a.b", "4")}, "a.b.c: 2\na.bc: 3\n" + generated("a.b: 4")},
		{"root key is a section of the same name", "a.b:\n  x: 1\n", []Change{set("a.b", "4")}, "a.b.x: 1\n" + generated("a.b: 4")},
		{"multi-line plain", "a: x\n  y\n  z\nb: 1\n", []Change{del("a")}, "b: 1\n"},
		{"multi-line quoted", "a: 'x\n\n  y'\nb: 1\n", []Change{del("a")}, "b: 1\n"},
		{"literal", "a: |\n  x\n  y\nb: 1\n", []Change{del("a")}, "b: 1\n"},
		{"list", "a:\n- x\n- y\nb: 1\n", []Change{del("a")}, "b: 1\n"},
		{"flow value", "a: [x,\n  y]\nb: 1\n", []Change{del("a")}, "b: 1\n"},
		{"key in a flow mapping", "a: {b: 1, c: 'x y'}\nd: 1\n", []Change{set("a.b", "2")}, "a.c: x y\nd: 1\n" + generated("a.b: 2")},
		{"section under an anchor", "a: &x\n  b: 1\n  c: 2\nd: *x\n", []Change{set("a.b", "3")}, "a.c: 2\nd.b: 1\nd.c: 2\n" + generated("a.b: 3")},
		{"section is an alias", "a: &x\n  b: 1\n  c: 2\nd: *x\n", []Change{set("d.b", "3")}, "a: &x\n  b: 1\n  c: 2\nd.c: 2\n" + generated("d.b: 3")},
		{"flow root", "{a: 1, b: [x, y]} # c\n", []Change{set("a", "2")}, "b: '[x, y]'\n # c\n" + generated("a: 2")},
		{"indented root", "  a: 1\n  b: 2\n", []Change{set("a", "3")}, "  b: 2\n  # >>> flink-entrypoint header\n  # test\n  a: 3\n  # <<< flink-entrypoint\n"},
		{"empty", "", []Change{set("a", "1")}, generated("a: 1")},
		{"null", "~\n", []Change{set("a", "1")}, "\n" + generated("a: 1")},
		{"document markers", "%YAML 1.2\n---\na: 1\n...\n# after\n", []Change{set("a", "2")}, "%YAML 1.2\n---\n" + generated("a: 2") + "...\n# after\n"},
		{"nothing left before an end marker", "a: 1\n...\n", []Change{del("a")}, "{}\n...\n"},
		{"no last newline", "a: 1\nb: 2", []Change{set("a", "3")}, "b: 2\n" + generated("a: 3")},
		{"literal without last newline", "a: |\n  x", []Change{set("b", "1")}, "a: x\n" + generated("b: 1")},
		{"comment after a cut after a literal", "a: |\n  x\nb: 1\n  # deep\nc: 2\n", []Change{del("b")}, "a: |\n  x\nc: 2\n"},
		{"blank line after a cut after a kept literal", "a: |+\n  x\nb: 1\n\n# c\nc: 2\n", []Change{del("b")}, "a: |+\n  x\n# c\nc: 2\n"},
		{"BOM", "\ufeffa: 1\nb: 2\n", []Change{set("a", "3")}, "\ufeffb: 2\n" + generated("a: 3")},
		{"CRLF", "a: 1\r\nb: 2\r\n", []Change{set("a", "3")}, "b: 2\r\n" + strings.ReplaceAll(generated("a: 3"), "\n", "\r\n")},
		{"values", "", []Change{
			set("on", "on"), set("e", "1e3"), set("h", "0x10"), set("n", "4"), set("t", "true"), set("f", "0.1"), set("f2", "0.10"), set("hash", "a #b"),
			set("colon", "a: b"), set("star", "*x"), set("amp", "&x"), set("bang", "!x"), set("percent", "%x"), set("at", "@x"), set("tail", "x "),
			set("lines", "a\nb"), set("uni", "é😀"), set("empty", ""), set("null", "null"), set("quote", "it's"), set("tab", "a\tb"), set("env", "${X}")},
			generated("on: on", "e: '1e3'", "h: '0x10'", "n: 4", "t: true", "f: 0.1", "f2: '0.10'", "hash: 'a #b'", "colon: 'a: b'", "star: '*x'", "amp: '&x'",
				"bang: '!x'", "percent: '%x'", "at: '@x'", "tail: 'x '", `lines: "a\nb"`, "uni: é😀", "empty: ''", "'null': 'null'", "quote: it's", `tab: "a\tb"`, "env: '${X}'")},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := version(t, "2.2.1")
			if c.name == "no change" {
				c.in = strings.ReplaceAll(c.in, " b", "b: 1")
				c.want = c.in
			}
			f, err := Parse(StandardName, Standard, v, []byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			out, whole, err := f.render(c.changes, "header")
			if err != nil {
				t.Fatal(err)
			}
			if whole {
				t.Error("the layout was given up")
			}
			if string(out) != c.want {
				t.Errorf("got\n%s\nwant\n%s", out, c.want)
			}
			f, err = Parse(StandardName, Standard, v, out)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := f.Render(c.changes, "header"); err != nil || string(again) != string(out) {
				t.Errorf("rendered again (%v)\n%s\nwant\n%s", err, again, out)
			}
		})
	}
}

func TestRenderReplacesAnOlderBlock(t *testing.T) {
	v := version(t, "2.2.1")
	base := "a: 1\nb: 2\n"
	f, err := Parse(StandardName, Standard, v, []byte(base))
	if err != nil {
		t.Fatal(err)
	}
	first, err := f.Render([]Change{set("a", "10"), set("x", "1")}, "header")
	if err != nil {
		t.Fatal(err)
	}
	if f, err = Parse(StandardName, Standard, v, first); err != nil {
		t.Fatal(err)
	}
	second, err := f.Render([]Change{set("a", "20")}, "header")
	if err != nil {
		t.Fatal(err)
	}
	if want := "b: 2\n" + generated("a: 20"); string(second) != want {
		t.Errorf("got\n%s\nwant\n%s", second, want)
	}
}

func TestRenderLegacy(t *testing.T) {
	for _, c := range []struct {
		name    string
		in      string
		changes []Change
		want    string
	}{
		{"flat", "# top\na: 1 # one\nb: 2\na: 3\n", []Change{set("a", "4")}, "# top\nb: 2\n" + generated("a: 4")},
		{"ignored lines stay", "a:1\na: 2\n", []Change{set("a", "3")}, "a:1\n" + generated("a: 3")},
		{"no last newline, CR", "a: 1\rb: 2", []Change{set("a", "3")}, strings.ReplaceAll("b: 2\n"+generated("a: 3"), "\n", "\r")},
		{"delete", "a: 1\n", []Change{del("a")}, ""},
		{"invalid UTF-8 stays", "a: \xff\nb: 1\n", []Change{del("b")}, "a: \xff\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Parse(LegacyName, Legacy, version(t, "1.18.1"), []byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			out, err := f.Render(c.changes, "header")
			if err != nil || string(out) != c.want {
				t.Errorf("%v, got\n%s\nwant\n%s", err, out, c.want)
			}
		})
	}
	for _, value := range []string{"", "canary#b", "canary\nb", " canary", "canary\t", "canary\xff"} {
		f, err := Parse(LegacyName, Legacy, version(t, "1.18.1"), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Render([]Change{{Key: "my.password", Value: secret.Hidden(value)}}, "header")
		var re *RenderError
		if !errors.As(err, &re) || re.Key != "my.password" || strings.Contains(err.Error(), "canary") {
			t.Errorf("value %q: error %v", value, err)
		}
	}
}

func TestRenderNeverShowsValues(t *testing.T) {
	f, err := Parse(StandardName, Standard, version(t, "2.2.1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Render([]Change{{Key: "k", Value: secret.Hidden("canary\xff")}}, "")
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("error %v", err)
	}
	for _, text := range []string{"password: *canary\n", "password: !canary x\n", "password: \"\\qcanary\"\n", "password: \"\\xzcanary\"\n", "password: [canary\n", "- canary\n", "canary\n", "a: canary: b\n"} {
		_, err := Parse(StandardName, Standard, version(t, "2.2.1"), []byte(text))
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), "canary") {
			t.Errorf("%q: error %v", text, err)
		}
	}
	f, err = Parse(LegacyName, Legacy, version(t, "1.13.6"), []byte("password:canary\n: canary\nx canary\n"))
	if err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprint(f.Warnings(), f.Log()); len(f.Warnings()) != 3 || strings.Contains(s, "canary") {
		t.Errorf("warnings and log show content: %s", s)
	}
}

// TestRenderProperty holds Render against our own reader, which the tests with real Flink hold against Flink.
func TestRenderProperty(t *testing.T) {
	g := newGenerator(t, 0)
	for format, name := range map[Format]string{Legacy: LegacyName, Standard: StandardName} {
		rewritten := 0
		for seed := range int64(3000) {
			g.Rand = rand.New(rand.NewSource(seed))
			src := []byte(g.file(format))
			checkRender(t, name, format, src, g.changes, &rewritten)
		}
		if rewritten > 60 {
			t.Errorf("%s: the layout of %d files was given up", name, rewritten)
		}
	}
}

func checkRender(t *testing.T, name string, format Format, src []byte, changes func(*File) []Change, rewritten *int) {
	v := version(t, "1.20.5")
	f, err := Parse(name, format, v, src)
	if err != nil {
		return
	}
	list := changes(f)
	out, whole, err := f.render(list, "test")
	var re *RenderError
	if errors.As(err, &re) && re.Key != "(all keys)" {
		return
	} else if err != nil {
		t.Fatalf("%q: %v", src, err)
	}
	if whole {
		*rewritten++
	}
	again, err := Parse(name, format, v, out)
	if err != nil {
		t.Fatalf("%q: rendered %q: %v", src, out, err)
	}
	second, err := again.Render(list, "test")
	if err != nil || string(second) != string(out) {
		t.Fatalf("%q: rendered again (%v)\nfirst  %q\nsecond %q", src, err, out, second)
	}
}

func FuzzLegacy(f *testing.F) {
	f.Add([]byte("a: 1\r\n# c\nb:2\n: x\n\xff: é\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		file, err := Parse(LegacyName, Legacy, flinkversion.Of(1, 20, 0), src)
		if err != nil {
			t.Fatal(err)
		}
		file.ShellLines()
		file.Conf()
	})
}

func FuzzStandard(f *testing.F) {
	for seed := range int64(20) {
		g := newGenerator(f, seed)
		f.Add([]byte(g.file(Standard)))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		file, err := Parse(StandardName, Standard, flinkversion.Of(2, 2, 0), src)
		if err != nil {
			return
		}
		file.ShellLines()
		file.Conf()
	})
}

func FuzzRender(f *testing.F) {
	for seed := range int64(20) {
		g := newGenerator(f, seed)
		f.Add([]byte(g.file(Standard)), "a.b", "x: y", "d", true)
		f.Add([]byte(g.file(Legacy)), "a", "4", "b", false)
	}
	f.Fuzz(func(t *testing.T, src []byte, key, value, gone string, standard bool) {
		changes := func(*File) []Change { return []Change{set(key, value), del(gone)} }
		if key == "" || gone == "" {
			return
		}
		rewritten := 0
		if standard {
			checkRender(t, StandardName, Standard, src, changes, &rewritten)
		} else {
			checkRender(t, LegacyName, Legacy, src, changes, &rewritten)
		}
	})
}

func bigFile(n int) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d.a.b: value %d\n", i, i)
	}
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		src := bigFile(n)
		for name, format := range map[string]Format{"legacy": Legacy, "standard": Standard} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.SetBytes(int64(len(src)))
				for b.Loop() {
					if _, err := Parse(name, format, flinkversion.Of(1, 20, 0), src); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkRender(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		src := bigFile(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				f, err := Parse(StandardName, Standard, flinkversion.Of(2, 2, 0), src)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := f.Render([]Change{set("k1.a.b", "x"), set("new", "y")}, "header"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
