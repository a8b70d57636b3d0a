package launch

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// evaluation does to Java options what flink-console.sh does with
//
//	FLINK_ENV_JAVA_OPTS=$(eval echo ${FLINK_ENV_JAVA_OPTS})
//
// and the unquoted use that follows: quotes and backslashes are resolved, variables are replaced, blanks separate
// options. On purpose it does not execute commands, does not expand file names or braces, keeps quoted blanks,
// leaves the name of a variable that does not exist, and refuses an unbalanced quote.
type evaluation struct {
	lookup      func(name string) (string, bool)
	splitQuoted bool // quoted blanks separate options, as for the scripts
	warnings    []string
	differences []string

	text string
	pos  int
	word strings.Builder
	any  bool // the current word has begun
	out  []string
}

// words splits text into the words that echo prints. A quoted empty one is among them; it is not an option.
func (e *evaluation) words(text string) ([]string, error) {
	e.text = text
	for e.pos < len(e.text) {
		c := e.text[e.pos]
		switch {
		case isBlank(c):
			e.end()
			e.pos++
		case c == '#' && !e.any:
			e.warnings = append(e.warnings, "what follows the # at the start of a word is a comment, to the end of all options")
			e.pos = len(e.text)
		case c == '\'':
			end := strings.IndexByte(e.text[e.pos+1:], '\'')
			if end < 0 {
				return nil, unbalanced('\'', e.pos)
			}
			e.literal(e.text[e.pos+1:e.pos+1+end], true)
			e.pos += end + 2
		case c == '"':
			if err := e.doubleQuoted(); err != nil {
				return nil, err
			}
		case c == '\\':
			e.pos++
			if e.pos == len(e.text) {
				e.literal(`\`, true)
				break
			}
			e.literal(e.text[e.pos:e.pos+1], true)
			e.pos++
		case c == '$':
			value, literal, err := e.dollar()
			if err != nil {
				return nil, err
			}
			if literal {
				e.literal(value, true)
			} else {
				e.split(value)
			}
		case c == '`':
			s, err := e.command('`', 1)
			if err != nil {
				return nil, err
			}
			e.literal(s, true)
		case strings.IndexByte(";&|<>()", c) >= 0:
			e.differ(fmt.Sprintf("%q in Java options is kept; a shell would act on it", string(c)))
			e.literal(e.text[e.pos:e.pos+1], false)
			e.pos++
		default:
			end := e.pos + 1
			for end < len(e.text) && strings.IndexByte(" \t\n'\"\\$`;&|<>()", e.text[end]) < 0 {
				end++
			}
			e.globs(e.text[e.pos:end])
			e.literal(e.text[e.pos:end], false)
			e.pos = end
		}
	}
	e.end()
	return e.out, nil
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' }

// unbalancedError is a quote or bracket without its partner.
type unbalancedError struct {
	quote byte
	at    int // bytes before it
}

// Error counts in the text that was evaluated, which need not be what the user wrote: see in.
func (e *unbalancedError) Error() string {
	return fmt.Sprintf("unbalanced %c at character %d", e.quote, e.at+1)
}

// in returns the error for those who wrote text. Without it, e was found in options put together from several texts.
func (e *unbalancedError) in(text string) string {
	if text == "" {
		return fmt.Sprintf("unbalanced %c", e.quote)
	}
	return fmt.Sprintf("unbalanced %c at character %d", e.quote, utf8.RuneCountInString(text[:e.at])+1)
}

func unbalanced(quote byte, pos int) error { return &unbalancedError{quote, pos} }

// literal adds text to the current word.
func (e *evaluation) literal(text string, quoted bool) {
	e.any = true
	if quoted && e.splitQuoted {
		e.split(text)
		return
	}
	if quoted && strings.ContainsAny(text, " \t\n") {
		e.differ("Java options with blanks inside quotes stay whole; Flink's scripts split them")
	}
	e.word.WriteString(text)
}

// end finishes the current word, which may be empty if it was quoted.
func (e *evaluation) end() {
	if e.any {
		e.out = append(e.out, e.word.String())
	}
	e.word.Reset()
	e.any = false
}

// split adds the value of an unquoted expansion, whose blanks separate words.
func (e *evaluation) split(value string) {
	for i := range len(value) {
		if isBlank(value[i]) {
			e.end()
		} else {
			e.any = true
			e.word.WriteByte(value[i])
		}
	}
}

func (e *evaluation) doubleQuoted() error {
	start := e.pos
	e.any = true
	for e.pos++; e.pos < len(e.text); {
		switch c := e.text[e.pos]; c {
		case '"':
			e.pos++
			return nil
		case '\\':
			if e.pos+1 < len(e.text) && strings.IndexByte("$`\"\\", e.text[e.pos+1]) >= 0 {
				e.pos++
			}
			e.literal(e.text[e.pos:e.pos+1], true)
			e.pos++
		case '$':
			value, _, err := e.dollar()
			if err != nil {
				return err
			}
			e.literal(value, true)
		case '`':
			s, err := e.command('`', 1)
			if err != nil {
				return err
			}
			e.literal(s, true)
		default:
			e.literal(e.text[e.pos:e.pos+1], true)
			e.pos++
		}
	}
	return unbalanced('"', start)
}

// command steps over a command substitution that starts at pos with n bytes and ends with the byte end, and returns
// it as it stands.
func (e *evaluation) command(end byte, n int) (string, error) {
	start, depth := e.pos, 1
	for i := start + n; i < len(e.text); i++ {
		switch c := e.text[i]; {
		case c == end:
			depth--
		case end == ')' && c == '(':
			depth++
		case c == '\\':
			i++
		}
		if depth == 0 {
			e.pos = i + 1
			e.differ("commands in Java options are not executed; Flink's scripts do")
			return e.text[start:e.pos], nil
		}
	}
	return "", unbalanced(e.text[start], start)
}

// dollar evaluates the expansion at pos. literal says that the value is to be taken as it stands.
func (e *evaluation) dollar() (value string, literal bool, err error) {
	rest := e.text[e.pos+1:]
	switch {
	case strings.HasPrefix(rest, "(("):
		for end := 2; end+1 < len(rest); end++ {
			if rest[end:end+2] != "))" {
				continue
			}
			if n, ok := arithmetic(rest[2:end], e.lookup); ok {
				e.pos += 1 + end + 2
				return n, false, nil
			}
		}
		fallthrough
	case strings.HasPrefix(rest, "("):
		s, err := e.command(')', 2)
		return s, true, err
	case strings.HasPrefix(rest, "{"):
		return e.braced()
	}
	name := nameAt(rest)
	if name == "" {
		e.pos++
		if rest != "" && strings.IndexByte("@*#?-$!0123456789", rest[0]) >= 0 {
			e.pos++
			e.warn("$%c of Flink's scripts is not replaced", rest[0])
			return "$" + rest[:1], true, nil
		}
		return "$", true, nil
	}
	e.pos += 1 + len(name)
	if v, ok := e.lookup(name); ok {
		return v, false, nil
	}
	e.unset(name)
	return "$" + name, true, nil
}

// braced evaluates ${NAME} and ${NAME:-word} with its relatives :+ - +.
func (e *evaluation) braced() (value string, literal bool, err error) {
	start := e.pos
	end := strings.IndexByte(e.text[start:], '}')
	if end < 0 {
		return "", false, unbalanced('{', start+1)
	}
	whole := e.text[start : start+end+1]
	e.pos += end + 1
	inside := whole[2 : len(whole)-1]
	name := nameAt(inside)
	v, ok := e.lookup(name)
	operator := inside[len(name):]
	usable := ok
	if strings.HasPrefix(operator, ":") {
		usable = ok && v != ""
		operator = operator[1:]
	} else if operator == "" && name != "" {
		if ok {
			return v, false, nil
		}
		e.unset(name)
		return whole, true, nil
	}
	if name != "" && operator != "" && !strings.ContainsAny(operator, "'\"$`\\") {
		switch operator[0] {
		case '-', '=':
			if usable {
				return v, false, nil
			}
			return operator[1:], false, nil
		case '+':
			if usable {
				return operator[1:], false, nil
			}
			return "", false, nil
		}
	}
	e.warn("%s is not replaced: only ${NAME}, ${NAME:-word} and ${NAME:+word} are", whole)
	return whole, true, nil
}

func (e *evaluation) unset(name string) {
	e.warn("$%s is not set: left as it is", name)
	e.differ("a variable that does not exist stays as $NAME in Java options; Flink's scripts remove it")
}

// nameAt returns the variable name that text starts with.
func nameAt(text string) string {
	for i := range len(text) {
		c := text[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return text[:i]
		}
	}
	return text
}

// globs notes a word that the scripts would have replaced by file names.
func (e *evaluation) globs(text string) {
	if e.any || !strings.HasPrefix(text, "/") || !strings.ContainsAny(text, "*?[") {
		return
	}
	if files, err := filepath.Glob(text); err == nil && len(files) > 0 {
		e.differ("file name patterns in Java options are kept; Flink's scripts expand them")
	}
}

func (e *evaluation) warn(format string, args ...any) {
	e.warnings = append(e.warnings, fmt.Sprintf(format, args...))
}

func (e *evaluation) differ(text string) {
	for _, d := range e.differences {
		if d == text {
			return
		}
	}
	e.differences = append(e.differences, text)
}
