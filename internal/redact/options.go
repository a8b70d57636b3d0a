package redact

import (
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/secret"
)

// option masks what follows the first "=" of a word after a sensitive name: -Dpassword=x, or
// -javaagent:a.jar=user=u,password=x. found, if not nil, gets the name and what was masked.
func option(word string, found func(name, hidden string)) string {
	named := flinkconf.HiddenEnd(word)
	if named < 0 {
		return word
	}
	at := strings.IndexByte(word[named:], '=')
	if at < 0 {
		return word
	}
	at += named
	if found != nil {
		name := strings.TrimLeft(word[:at], `"'`)
		if j := strings.LastIndexAny(name, "=,;?&"); j >= 0 {
			name = name[j+1:]
		}
		found(strings.TrimPrefix(name, "-D"), word[at+1:])
	}
	return word[:at+1] + secret.Mask
}

// Options masks the values of sensitive options in each word of options as a shell splits them: blanks inside quotes are part of a
// word. What follows a sensitive key with a colon is masked to the end: such a text is a second line of a configuration that
// became a part of the value.
func Options(text string, found func(name, hidden string)) string {
	if flinkconf.HiddenEnd(text) < 0 {
		return text
	}
	var b strings.Builder
	name, value := joinedKey(text)
	rest := text[value:]
	text = text[:value]
	for len(text) > 0 {
		end := wordEnd(text)
		b.WriteString(option(text[:end], found))
		text = text[end:]
		blanks := len(text) - len(strings.TrimLeft(text, " \t\r\n"))
		b.WriteString(text[:blanks])
		text = text[blanks:]
	}
	if rest != "" {
		if found != nil {
			found(name, rest)
		}
		b.WriteString(secret.Mask)
	}
	return b.String()
}

// joinedKey finds the first sensitive name before a colon, as a line of YAML or a member of JSON has it, and where its value
// begins; len(text) without one. A colon without a blank or a quote after it is part of a URL or a list.
func joinedKey(text string) (name string, value int) {
	for i := 0; i < len(text); i++ {
		if text[i] != ':' || i+1 == len(text) || strings.IndexByte(" \t\r\n\"'", text[i+1]) < 0 {
			continue
		}
		end := len(strings.TrimRight(text[:i], " \t\"'"))
		begin := end
		for begin > 0 && isName(text[begin-1]) {
			begin--
		}
		if flinkconf.HiddenEnd(text[begin:end]) < 0 {
			continue
		}
		if value = len(text) - len(strings.TrimLeft(text[i+1:], " \t\r\n")); value < len(text) {
			return text[begin:end], value
		}
	}
	return "", len(text)
}

func isName(c byte) bool { return isWord(c) || c == '.' || c == '_' || c == '-' || c == '$' }

// unquoted is a word as a shell understands it.
func unquoted(word string) string {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(word); i++ {
		switch c := word[i]; {
		case c == '\\' && quote != '\'' && i+1 < len(word):
			i++
			b.WriteByte(word[i])
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// wordEnd returns where the first word of text ends.
func wordEnd(text string) int {
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quote != '\'':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			return i
		}
	}
	return len(text)
}

// Arguments masks the values of sensitive options in a command line, be they in one word (-Dpassword=x, password=x) or in
// the next (--password x). Flink's scripts split options at blanks whatever the quotes say, so a quoted value may go on
// in the words that follow: to the one that closes the quote, or, if none does, up to the next option. found, if not nil, gets
// each name with what was masked for it.
func Arguments(words []string, found func(name, hidden string)) []string {
	out := slices.Clone(words)
	for i := 0; i < len(words); i++ {
		if namesTokenFile(words[i]) {
			continue
		}
		name, hidden, quote := "", "", byte(0)
		out[i] = option(words[i], func(n, h string) { name, hidden = n, h })
		switch {
		case name != "" || out[i] != words[i]:
			if at := strings.IndexAny(words[i], `"'`); at >= 0 && at < len(words[i])-len(hidden) {
				quote = words[i][at] // "-Dpassword=…: the word itself is quoted
			}
		case i > 0 && !strings.HasPrefix(words[i], "-") && takesSecret(words[i-1]):
			name, hidden = strings.TrimLeft(words[i-1], "-"), words[i]
			out[i] = secret.Mask
		default:
			continue
		}
		more := continued(words[i+1:], goesOn(hidden, quote))
		if found != nil {
			found(name, hidden)
			for _, w := range words[i+1 : i+1+more] {
				found(name, w)
			}
			if more > 0 { // as the user wrote it
				found(name, strings.Join(slices.Concat([]string{hidden}, words[i+1:i+1+more]), " "))
			}
		}
		for ; more > 0; more-- {
			i++
			out[i] = secret.Mask
		}
	}
	return out
}

// takesSecret reports whether a word is an option whose value is the next word, and a secret.
func takesSecret(word string) bool {
	return strings.HasPrefix(word, "-") && !strings.Contains(word, "=") && flinkconf.Hidden(word) && !namesTokenFile(word)
}

// namesTokenFile reports whether a word is an option like our own --definition-token-file. Its value is the file's path, which an error
// message must be able to show: what is secret is in the file.
func namesTokenFile(word string) bool {
	name, _, _ := strings.Cut(word, "=")
	return strings.HasPrefix(name, "--") && strings.HasSuffix(name, "-token-file")
}

// continued returns how many of the words belong to a value that is open: after a quote, or a backslash (see goesOn).
func continued(words []string, open byte) int {
	if open == 0 {
		return 0
	}
	option := -1
	for i, w := range words {
		if option < 0 && strings.HasPrefix(w, "-") {
			option = i
		}
		if open = goesOn(w, open); open == 0 {
			return i + 1
		}
	}
	if option < 0 {
		return len(words)
	}
	return option
}

// goesOn returns the quote that is open after text, which began inside that quote (0: outside), or a backslash if text ends
// with one that would escape a blank; 0 if the word is complete.
func goesOn(text string, quote byte) byte {
	if quote == '\\' {
		quote = 0
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quote != '\'':
			if i+1 == len(text) && quote == 0 {
				return '\\'
			}
			i++
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		}
	}
	return quote
}
