package redact

import (
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/secret"
)

// Assignments masks the value after a sensitive name and "=", and the string after a sensitive name in JSON: what programs that know
// nothing of this one print about themselves. A value ends at a blank, a comma, a semicolon, an ampersand or a bracket; one in quotes ends at its
// quote. "token: x" without quotes is left alone: parsers say so of a text that they cannot read.
func Assignments(text string) string {
	if flinkconf.HiddenEnd(text) < 0 {
		return text
	}
	var b strings.Builder
	end := 0 // of what is written
	for i := 0; i < len(text); i++ {
		from, to := 0, 0
		switch {
		case i < end:
			continue
		case text[i] == '=' && flinkconf.Hidden(nameBefore(text[end:i])):
			from, to = assigned(text, i+1)
		case text[i] == ':' && flinkconf.Hidden(jsonKeyBefore(text[end:i])):
			from = i + 1
			for from < len(text) && text[from] == ' ' {
				from++
			}
			if !strings.HasPrefix(text[from:], `"`) && !strings.HasPrefix(text[from:], `\"`) {
				continue
			}
			from, to = assigned(text, from)
		}
		if to <= from || text[from:to] == secret.Mask {
			continue
		}
		b.WriteString(text[end:from])
		b.WriteString(secret.Mask)
		end = to
	}
	if end == 0 {
		return text
	}
	return b.String() + text[end:]
}

// assigned returns where the value that begins at a place is, without its quotes.
func assigned(text string, at int) (from, to int) {
	if at == len(text) {
		return at, at
	}
	if strings.HasPrefix(text[at:], `\"`) { // in a text that is quoted itself
		from = at + 2
		n := strings.Index(text[from:], `\"`)
		if n < 0 {
			n = strings.IndexAny(text[from:], "\"\n")
		}
		if n < 0 {
			n = len(text) - from
		}
		return from, from + n
	}
	if quote := text[at]; quote == '"' || quote == '\'' {
		for to = at + 1; to < len(text) && text[to] != quote && text[to] != '\n'; to++ {
			if text[to] == '\\' && to+1 < len(text) {
				to++
			}
		}
		return at + 1, min(to, len(text))
	}
	n := strings.IndexAny(text[at:], " \t\r\n,;&)]}\"'<>=")
	if n < 0 {
		n = len(text) - at
	}
	return at, at + n
}

// nameBefore is the name that text ends with.
func nameBefore(text string) string {
	text = text[max(0, len(text)-longestKey):]
	begin := len(text)
	for begin > 0 && isName(text[begin-1]) {
		begin--
	}
	return text[begin:]
}

// jsonKeyBefore is the string in double quotes that text ends with.
func jsonKeyBefore(text string) string {
	text = strings.TrimRight(text[max(0, len(text)-longestKey):], " ")
	if text == "" || text[len(text)-1] != '"' {
		return ""
	}
	text = strings.TrimSuffix(text[:len(text)-1], `\`) // of a text that is quoted itself
	return text[strings.LastIndexByte(text, '"')+1:]
}
