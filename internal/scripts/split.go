package scripts

import (
	"fmt"
	"strings"
)

// split returns the words of a text for `bash -c` or `sh -c` that is one simple command, in which quotes and backslashes are
// all there is to evaluate. Of any other text, reason says what is left to the shell.
//
// Every character that some shell acts on somewhere counts, also where this one would not: a brace outside quotes, a lone $.
func split(text string) (words []string, reason string) {
	text = strings.Trim(text, " \t\n")
	if i := strings.IndexFunc(text, isControl); i >= 0 {
		return nil, fmt.Sprintf("the control character %q", text[i])
	}
	var word strings.Builder
	begun := false // an empty word has begun when a quote was there
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == ' ' || c == '\t':
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
			continue
		case c == '\'':
			length := strings.IndexByte(text[i+1:], '\'')
			if length < 0 {
				return nil, "a ' that is not closed"
			}
			word.WriteString(text[i+1 : i+1+length])
			i += 1 + length
		case c == '"':
			end, reason := doubleQuoted(&word, text, i+1)
			if reason != "" {
				return nil, reason
			}
			i = end
		case c == '\\':
			i++
			if i == len(text) || text[i] == '\n' {
				return nil, `a \ at the end of a line`
			}
			word.WriteByte(text[i])
		case c == '\n':
			return nil, "a second line"
		case strings.IndexByte("$`;&|<>()*?[{}~", c) >= 0:
			return nil, fmt.Sprintf("%c outside quotes", c)
		case c == '#' && !begun:
			return nil, "a comment"
		default:
			word.WriteByte(c)
		}
		begun = true
	}
	if begun {
		words = append(words, word.String())
	}
	if len(words) > 0 && strings.Contains(words[0], "=") {
		return nil, "an assignment"
	}
	return words, ""
}

// doubleQuoted adds what is between double quotes, the first of which is before start, and returns where the second one is.
func doubleQuoted(word *strings.Builder, text string, start int) (end int, reason string) {
	for i := start; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			return i, ""
		case '$', '`':
			return 0, fmt.Sprintf("%c in double quotes", c)
		case '\\':
			if i+1 < len(text) && text[i+1] == '\n' {
				return 0, `a \ at the end of a line`
			}
			if i+1 < len(text) && strings.IndexByte("$`\"\\", text[i+1]) >= 0 {
				i++
			}
			word.WriteByte(text[i])
		default:
			word.WriteByte(c)
		}
	}
	return 0, `a " that is not closed`
}

// isControl reports characters that shells use inside themselves, or that belong to no command of a person.
func isControl(r rune) bool { return r < ' ' && r != '\t' && r != '\n' || r == 0x7f }
