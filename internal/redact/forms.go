package redact

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"flink-entrypoint/internal/secret"
)

// forms are every spelling of every secret, in lower case, to be looked up by how they begin: a definition may refer to thousands of
// secrets, and each text that is shown is searched for all of them. Case is ignored because others change it: the scheme of a URL,
// the digits of a percent-encoding.
type forms struct {
	first   [256]bool
	lengths map[[Shortest]byte][]int // by the first bytes, longest first
	all     map[string]bool
	buffer  []byte
}

func newForms() *forms {
	return &forms{lengths: map[[Shortest]byte][]int{}, all: map[string]bool{}}
}

func (f *forms) add(v string) {
	for _, s := range spellings(v) {
		s = lowered(s)
		if f.all[s] {
			continue
		}
		f.all[s], f.first[s[0]] = true, true
		beginning := [Shortest]byte([]byte(s))
		lengths := f.lengths[beginning]
		if at, found := slices.BinarySearchFunc(lengths, len(s), func(a, b int) int { return b - a }); !found {
			f.lengths[beginning] = slices.Insert(lengths, at, len(s))
		}
	}
}

// mask replaces all that a secret covers.
func (f *forms) mask(text string) string {
	var b strings.Builder
	end, found := 0, false // end of what is written or masked
	for i := 0; i < len(text); i++ {
		n := f.longest(text[i:])
		if n == 0 {
			continue
		}
		if i >= end {
			b.WriteString(text[end:i])
			b.WriteString(secret.Mask)
		}
		end, found = max(end, i+n), true
	}
	if !found {
		return text
	}
	b.WriteString(text[end:])
	return b.String()
}

// longest returns the length of the longest secret that text begins with, 0 without one.
func (f *forms) longest(text string) int {
	if len(text) < Shortest || !f.first[lower(text[0])] {
		return 0
	}
	var beginning [Shortest]byte
	for i := range beginning {
		beginning[i] = lower(text[i])
	}
	for _, n := range f.lengths[beginning] {
		if n > len(text) {
			continue
		}
		f.buffer = f.buffer[:0]
		for i := range n {
			f.buffer = append(f.buffer, lower(text[i]))
		}
		if f.all[string(f.buffer)] {
			return n
		}
	}
	return 0
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// lowered is text with small letters for the capitals of ASCII; its length stays.
func lowered(text string) string {
	for i := range len(text) {
		if lower(text[i]) != text[i] {
			b := []byte(text)
			for j := i; j < len(b); j++ {
				b[j] = lower(b[j])
			}
			return string(b)
		}
	}
	return text
}

// spellings returns how SQL, shells, YAML, JSON, Go, URLs, HTML and Basic authentication write a value.
func spellings(v string) []string {
	out := []string{v, base64.StdEncoding.EncodeToString([]byte(v)), base64.RawURLEncoding.EncodeToString([]byte(v))}
	if !strings.ContainsFunc(v, func(c rune) bool { return c >= 0x80 || !isWord(byte(c)) && c != '-' && c != '_' && c != '.' }) {
		return out // all others are the same
	}
	quoted, _ := json.Marshal(v)
	inner := string(quoted[1 : len(quoted)-1])
	goQuoted, ascii := strconv.Quote(v), strconv.QuoteToASCII(v)
	twice := strconv.Quote(goQuoted[1 : len(goQuoted)-1]) // an error that quotes what another has quoted
	plain := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v)
	query := url.QueryEscape(v)
	return append(out, plain, inner, goQuoted[1:len(goQuoted)-1], ascii[1:len(ascii)-1], twice[1:len(twice)-1],
		strings.ReplaceAll(v, "'", "''"), strings.ReplaceAll(v, "'", `'\''`), strings.ReplaceAll(v, "'", `'"'"'`),
		query, strings.ReplaceAll(query, "+", "%20"), url.QueryEscape(query), url.PathEscape(v), url.UserPassword("", v).String()[1:],
		html.EscapeString(v), html.EscapeString(inner))
}
