package confpatch

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flink-entrypoint/internal/secret"
	"flink-entrypoint/internal/yaml"
)

// generator makes random configuration files: well-formed ones of every style, and mutations of them and of
// the vectors.
type generator struct {
	*rand.Rand
	seeds   map[Format][]string
	anchors []string
}

func newGenerator(t testing.TB, seed int64) *generator {
	g := &generator{Rand: rand.New(rand.NewSource(seed)), seeds: map[Format][]string{}}
	files, err := filepath.Glob(filepath.Join("testdata", "cases", "*", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors to mutate (%v)", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) < 4000 {
			g.seeds[Standard] = append(g.seeds[Standard], string(text))
			g.seeds[Legacy] = append(g.seeds[Legacy], string(text))
		}
	}
	return g
}

func (g *generator) pick(of ...string) string { return of[g.Intn(len(of))] }

func (g *generator) one(in int) bool { return g.Intn(in) == 0 }

var genKeys = []string{"a", "b", "c", "a.b", "a.b.c", "b.c", "a.c", "x.y", "d", "e-f", "taskmanager.memory.process.size", "env.java.opts.all", "é", "k k", "null", "1", "a.", ".b", "s3.secret-key"}

func (g *generator) key() string { return genKeys[g.Intn(len(genKeys))] }

var genTexts = []string{"1", "4g", "true", "no", "1e3", "0x1F", "017", "1.50", "a b", "x: y", "a #b", "it's", `say "hi"`, "", " lead", "trail ", "- x", "[a, b]", "{a: 1}", "*x", "&x", "!x", "%x", "@x", "`x", "| x", "> x", "null", "~", "é€😀", "a\tb", "a\nb", "a\n\nb\n", "\\d+", "http://h:80/p?q=#f", "---", "...", "${HOME}", "$X", "-Da=\"b c\" -XX:+UseG1GC", "a,b;c", "12345678901234567890", "2147483648", ".5", "-.inf", ".nan", "+1", "-0", "1_000", "0o17", "a:b", "a:", ":a", "?", "-", "=", "<<", "\u0085x", "x\u2028y", "\ufeffz", "\u0007", "1.0E10", "100000000.0", "0.001", "1.0E-5"}

func (g *generator) text() string {
	if g.one(5) {
		n := g.Intn(6)
		var b strings.Builder
		for range n {
			b.WriteString(genTexts[g.Intn(len(genTexts))])
		}
		return b.String()
	}
	return genTexts[g.Intn(len(genTexts))]
}

// scalar is a scalar in some style, on one line mostly.
func (g *generator) scalar(pad string, flow bool) string {
	t := g.text()
	switch g.Intn(8) {
	case 0:
		return "'" + strings.ReplaceAll(strings.ReplaceAll(t, "'", "''"), "\n", "\n\n"+pad) + "'"
	case 1:
		return `"` + yaml.EscapeDouble(t, false) + `"`
	case 2:
		return `"` + g.pick(`\x41`, `\u00e9`, `\U0001F600`, `\ud83d\ude00`, `\t`, `\/`, `\_`, "\\\n"+pad+"  x", "a\n"+pad+"b", `\ud800`,
			g.pick(`\ud800`, `\ud83d`, `\udbff`, `\udc00`)+g.pick(" ", "x", "é", `\uffff`, `\ue000`, `\ud800`, `\t`, "", "😀", `\U0001F600`)+g.pick("", " ", "y")) + `"`
	case 3:
		return g.pick("!!str 12", `!!int "7"`, "!!float 1", `!!bool "true"`, "! 12", "!!binary aGk=", "!!null x", "!!set {p, q}", "!!str", "!x y")
	case 4:
		return g.pick("1", "true", "0.1", "4096m", "0x10", "007", "1e3", "abc", "a b c", "1.0e+3", "-5", "+7", "99999999999", "123456789012345678901234567890", "1.", ".5", "1e400", "0.30000000000000004", "TRUE", "False", "123456.789e3", "1e-7")
	case 5:
		if !flow {
			return g.pick("foo\n"+pad+"  bar", "foo\n\n"+pad+"  bar", "foo # c", "a:b:c", "-x", "?x", ":x", "a#b", "x'y\"z", "foo   ", "a\tb", "foo\t# c")
		}
		return g.pick("foo", "a:b", "-x", "x#y", "http://x/y", "a b")
	}
	return yaml.Quote(t, g.one(2))
}

func (g *generator) flow(depth int) string {
	if depth <= 0 || g.one(3) {
		return g.scalar("    ", true)
	}
	sep := g.pick(", ", ",", " , ", ",\n    ", ", # c\n    ")
	var parts []string
	n := g.Intn(4)
	if g.one(2) {
		for range n {
			if g.one(6) {
				parts = append(parts, g.pick("k: v", "? k : v", "'k': v", "k:", ": v"))
				continue
			}
			parts = append(parts, g.flow(depth-1))
		}
		return "[" + strings.Join(parts, sep) + g.pick("", ",", " ") + "]"
	}
	for i := range n {
		parts = append(parts, g.keyText()+fmt.Sprintf("%d", i)+g.pick(": ", ": ", ":\n    ", " : ")+g.flow(depth-1))
	}
	return "{" + strings.Join(parts, sep) + g.pick("", "", " ", "\n  ") + "}"
}

func (g *generator) keyText() string {
	k := g.key()
	switch g.Intn(6) {
	case 0:
		return "'" + k
	case 1:
		return "k"
	}
	if yaml.Quote(k, false) == k {
		return k
	}
	return "q"
}

func (g *generator) quotedKey(k string) string {
	switch g.Intn(6) {
	case 0:
		return "'" + strings.ReplaceAll(k, "'", "''") + "'"
	case 1:
		return `"` + yaml.EscapeDouble(k, false) + `"`
	}
	return yaml.Quote(k, false)
}

// mapping writes a block mapping, no key twice.
func (g *generator) mapping(b *strings.Builder, indent, depth, n int) {
	pad := strings.Repeat(" ", indent)
	used := map[string]bool{}
	for range n {
		k := g.key()
		if depth == 0 && g.one(2) {
			k = g.pick("leaf", "p", "q", "r", k)
		}
		if used[k] && !g.one(30) {
			continue
		}
		used[k] = true
		for g.one(5) {
			b.WriteString(g.pick("", pad, "  ", "      ") + g.pick("# comment", "#", "", "", "# a: 1", "  ") + "\n")
		}
		explicit := g.one(15)
		if explicit {
			b.WriteString(pad + "? " + g.quotedKey(k) + "\n" + pad + ":")
		} else {
			if g.one(25) {
				anchor := fmt.Sprintf("k%d", g.Intn(3))
				b.WriteString(pad + "&" + anchor + " " + g.quotedKey(k) + g.pick("", " ") + ":")
			} else {
				b.WriteString(pad + g.quotedKey(k) + g.pick("", "", "", " ") + ":")
			}
		}
		props := ""
		if g.one(10) {
			name := fmt.Sprintf("n%d", len(g.anchors))
			g.anchors = append(g.anchors, name)
			props += " &" + name
		}
		if g.one(8) && len(g.anchors) > 0 && props == "" {
			b.WriteString(" *" + g.anchors[g.Intn(len(g.anchors))] + g.pick("", " # alias") + "\n")
			continue
		}
		choice := g.Intn(12)
		switch {
		case choice < 3 && depth > 0:
			if g.one(12) {
				props += " !!map"
			}
			b.WriteString(props + g.pick("", " ", " # section") + "\n")
			g.mapping(b, indent+1+g.Intn(4), depth-1, 1+g.Intn(4))
		case choice == 3:
			b.WriteString(props + " " + g.flow(2) + g.pick("", " # c") + "\n")
		case choice == 4:
			b.WriteString(props + "\n")
			itemPad := strings.Repeat(" ", indent+g.Intn(3))
			for range 1 + g.Intn(3) {
				b.WriteString(itemPad + "- " + g.pick(g.scalar(itemPad+"  ", false), g.flow(1), "k: v\n"+itemPad+"  l: w", "- x\n"+itemPad+"  - y", "") + "\n")
			}
		case choice == 5:
			b.WriteString(props + " " + g.pick("|", ">", "|-", ">-", "|+", ">+", "|2", "|1-", "| # c") + "\n")
			blockPad := strings.Repeat(" ", indent+1+g.Intn(3))
			for range 1 + g.Intn(3) {
				b.WriteString(g.pick(blockPad, blockPad, blockPad+" ", "") + g.pick("text", "a: b", "# no comment", "'q'", "", "two words", "- x") + "\n")
			}
			for g.one(3) {
				b.WriteString(g.pick("", "  ") + "\n")
			}
		default:
			b.WriteString(props + g.pick(" ", "  ") + g.scalar(pad, false) + g.pick("", "", "", " ", " # c", "  # 'c'") + "\n")
		}
	}
}

// standard is a config.yaml, mostly well-formed.
func (g *generator) standard() string {
	g.anchors = nil
	var b strings.Builder
	if g.one(15) {
		b.WriteString("\ufeff")
	}
	if g.one(20) {
		b.WriteString(g.pick("%YAML 1.2\n---\n", "%TAG !e! tag:yaml.org,2002:\n---\n", "%FOO bar\n---\n"))
	} else if g.one(8) {
		b.WriteString(g.pick("---\n", "--- # doc\n", "# first\n---\n", "--- !!map\n", "--- &root\n"))
	}
	indent := 0
	if g.one(10) {
		indent = g.Intn(5)
	}
	switch {
	case g.one(25):
		b.WriteString(g.flow(3) + "\n")
	case g.one(40):
		b.WriteString(g.pick("", "# nothing\n", "~\n", "null # c\n", "{}\n", "!!null x\n"))
	default:
		g.mapping(&b, indent, 3, 1+g.Intn(7))
	}
	if g.one(10) {
		b.WriteString(g.pick("# end\n", "\n\n", "...\n", "...\n# after\n", "   # end\n", "\n..."))
	}
	return g.lineEnds(b.String())
}

func (g *generator) lineEnds(s string) string {
	if g.one(8) {
		s = strings.TrimRight(s, "\n")
	}
	switch g.Intn(12) {
	case 0:
		return strings.ReplaceAll(s, "\n", "\r\n")
	case 1:
		return strings.ReplaceAll(s, "\n", "\r")
	}
	return s
}

// legacy is a flink-conf.yaml.
func (g *generator) legacyFile() string {
	var b strings.Builder
	for range g.Intn(10) {
		b.WriteString(g.pick("", "", "", " ", "\t", "\ufeff") + g.pick(g.key(), g.key(), g.key(), g.text()) +
			g.pick(": ", ": ", ": ", ":", " : ", ":\t", ":  ", "") + g.text() + g.pick("", "", " ", " # c", "#c", "\t") + "\n")
		if g.one(6) {
			b.WriteString(g.pick("# comment", "", "  ", "#a: 1", "- x", "---") + "\n")
		}
	}
	return g.lineEnds(b.String())
}

var genTokens = []string{":", ": ", "- ", "? ", "#", " #", "\n", "\r", "\r\n", " ", "  ", "\t", "'", "\"", "[", "]", "{", "}", ",", "&a", "*a", "!", "!!", "!!str", "!<", "|", ">", "%", "@", "`", "---", "...", "\\", "\\x", "~", "null", "<<", "|+\n", ">-\n", "\u0085", "\u2028", "é", "😀", "\ufeff", "\x00", "\x7f", "\xff", "\xc3", "\xe2\x82", "\xed\xa0\x80", "0", "e", "."}

// mutate damages a file.
func (g *generator) mutate(s string) string {
	for range 1 + g.Intn(3) {
		i := g.Intn(len(s) + 1)
		j := min(len(s), i+g.Intn(6))
		lines := strings.SplitAfter(s, "\n")
		k := g.Intn(len(lines))
		switch g.Intn(8) {
		case 0:
			s = s[:i] + s[j:]
		case 1, 2, 3:
			s = s[:i] + genTokens[g.Intn(len(genTokens))] + s[i:]
		case 4:
			s = s[:i] + genTokens[g.Intn(len(genTokens))] + s[j:]
		case 5:
			lines[k] = strings.Repeat(" ", g.Intn(4)) + lines[k]
			s = strings.Join(lines, "")
		case 6:
			lines[k] += lines[k]
			s = strings.Join(lines, "")
		case 7:
			lines[k] = strings.TrimLeft(lines[k], " ")
			s = strings.Join(lines, "")
		}
	}
	return s
}

// file is any file, often a damaged one.
func (g *generator) file(format Format) string {
	fresh := func() string {
		if format == Legacy && !g.one(10) {
			return g.legacyFile()
		}
		return g.standard()
	}
	switch g.Intn(5) {
	case 0:
		return g.mutate(g.seeds[format][g.Intn(len(g.seeds[format]))])
	case 1, 2:
		return g.mutate(fresh())
	}
	return fresh()
}

// changes picks keys that are in the file, near it, or new.
func (g *generator) changes(f *File) []Change {
	var out []Change
	for range g.Intn(4) + 1 {
		c := Change{Key: g.key(), Value: secret.Public(g.text()), Source: g.pick("definition", "cgroup v2 limit /sys/fs\nx", "", "--memory \u2028 é")}
		if len(f.leaves) > 0 && !g.one(4) {
			c.Key = f.leaves[g.Intn(len(f.leaves))].key
			if g.one(8) {
				c.Key, _, _ = strings.Cut(c.Key, ".")
			}
		}
		c.Delete = g.one(3)
		if c.Key != "" {
			out = append(out, c)
		}
	}
	return out
}
