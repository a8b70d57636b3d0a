package confpatch

import (
	"strconv"
	"strings"

	"flink-entrypoint/internal/javatext"
	"flink-entrypoint/internal/secret"
	"flink-entrypoint/internal/yaml"
)

// A legacyLine is a line of flink-conf.yaml with its terminator, as bytes of the file.
type legacyLine struct {
	begin, end int
	key        string // "" where Flink finds no key
}

// parseLegacy is GlobalConfiguration.loadLegacyYAMLResource, with UTF-8 as Java's default charset.
func (f *File) parseLegacy() {
	f.text = string(f.src)
	for begin, number := 0, 1; begin < len(f.text); number++ {
		end, next := lineAt(f.text, begin)
		line := legacyLine{begin: begin, end: next}
		f.parseLine(&line, decodeLine(f.text[begin:end]), number)
		f.legacy = append(f.legacy, line)
		begin = next
	}
}

// lineAt returns where the line that begins at i ends without and with its terminator, as
// BufferedReader.readLine finds it: LF, CR or CRLF.
func lineAt(s string, i int) (end, next int) {
	n := strings.IndexAny(s[i:], "\r\n")
	if n < 0 {
		return len(s), len(s)
	}
	end = i + n
	if s[end] == '\r' && end+1 < len(s) && s[end+1] == '\n' {
		return end, end + 2
	}
	return end, end + 1
}

// decodeLine replaces bytes that are not UTF-8 as Java's decoder does.
func decodeLine(s string) string {
	if asciiOnly(s) {
		return s
	}
	var b strings.Builder
	for s != "" {
		c, n, bad, _ := javatext.DecodeUTF8(s)
		if bad {
			c = 0xFFFD
		}
		b.WriteRune(c)
		s = s[n:]
	}
	return b.String()
}

func asciiOnly(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func (f *File) parseLine(line *legacyLine, raw string, number int) {
	text, _, _ := strings.Cut(raw, "#")
	text = javatext.Trim(text)
	if text == "" {
		return
	}
	key, v, ok := strings.Cut(text, ": ")
	if !ok {
		f.badLine("Error while trying to split key and value in configuration file", "Line is not a key-value pair (missing space after ':'?)", raw, number)
		before, _, equals := strings.Cut(text, "=")
		switch {
		case strings.HasSuffix(text, ":"):
			f.warn(number, "ignored by Flink: the value is empty")
		case equals && isName(before) && !strings.Contains(before, ":"):
			f.warn(number, "ignored by Flink: found 'key=value', expected 'key: value'")
		default:
			f.warn(number, "ignored by Flink: no ':' followed by a blank")
		}
		return
	}
	key, v = javatext.Trim(key), javatext.Trim(v)
	if key == "" || v == "" {
		f.badLine("Error after splitting key and value in configuration file", "Key or value was empty", raw, number)
		f.warn(number, "ignored by Flink: the key or the value is empty")
		return
	}
	line.key = key
	f.addLeaf(leaf{key: key, value: &yaml.Value{Kind: yaml.StringValue, Text: v}, line: number})
}

// A badLine is the warning about a line that Flink ignores, and how many keys were read before it.
type badLine struct {
	LogLine
	leaves int
}

func (f *File) badLine(what, why, raw string, number int) {
	text := secret.Public(what + " <CONF>/" + f.name + ":" + strconv.Itoa(number) + ": " + why)
	if f.rules.logsBadLine {
		text = secret.Hidden(what + " <CONF>/" + f.name + ":" + strconv.Itoa(number) + ": \"" + raw + `"`)
	}
	f.badLines = append(f.badLines, badLine{LogLine{"WARN", text}, len(f.leaves)})
}
