package sqltext

import (
	"slices"
	"strings"

	"flink-entrypoint/internal/javatext"
)

// ParseSet returns key and value of a SET statement as Flink's session would keep them: without blanks and
// control characters at both ends (String.trim in OperationExecutor.callSetOperation). Two forms exist:
//
//	SET 'key' = 'value'      the grammar's (SqlSet), any string literals
//	SET key = value          ExtendedParser's regular expression; value bare or in quotes
//
// With SET key = 'it”s' Flink's second form gives "it" and says nothing; that is an error here. ok is false for
// SET without a key, which lists the settings, and for any other statement. The error is an [*Error] placed in
// the script and does not quote the value.
func ParseSet(s Statement) (key, value string, ok bool, err error) {
	if s.Kind != Set {
		return "", "", false, nil
	}
	if s.raw {
		key, value, _ = splitSet(s.Text[len("SET"):])
		return javatext.Trim(key), javatext.Trim(value), true, nil
	}
	const hint = "write SET 'key' = 'value'"
	tokens := significant(s)
	if len(tokens) == 1 {
		return "", "", false, nil
	}
	i := 1
	if key, i, err = Literals(tokens, i); err != nil {
		return "", "", false, err
	}
	if i == 1 || i == len(tokens) || tokens[i].Text != "=" {
		t := tokens[min(i, len(tokens)-1)]
		return "", "", false, &Error{Line: t.Line, Column: t.Column, Message: "this is not a form of SET that Flink reads", Hint: hint}
	}
	from := i + 1
	if value, i, err = Literals(tokens, from); err != nil {
		return "", "", false, err
	}
	if i == from || i < len(tokens) {
		t := tokens[min(i, len(tokens)-1)]
		return "", "", false, &Error{Line: t.Line, Column: t.Column, Message: "the value of SET is not one string", Hint: hint}
	}
	return javatext.Trim(key), javatext.Trim(value), true, nil
}

// ParseReset returns the key of RESET 'key' or RESET key. ok is false for RESET without a key, which resets all,
// and for any other statement. The error is an [*Error].
func ParseReset(s Statement) (key string, ok bool, err error) {
	if s.Kind != Reset {
		return "", false, nil
	}
	if s.raw {
		key, _ = splitReset(s.Text[len("RESET"):])
		return javatext.Trim(key), true, nil
	}
	tokens := significant(s)
	if len(tokens) == 1 {
		return "", false, nil
	}
	i := 1
	if key, i, err = Literals(tokens, i); err != nil {
		return "", false, err
	}
	if i == 1 || i < len(tokens) {
		t := tokens[min(i, len(tokens)-1)]
		return "", false, &Error{Line: t.Line, Column: t.Column, Message: "this is not a form of RESET that Flink reads", Hint: "write RESET 'key'"}
	}
	return javatext.Trim(key), true, nil
}

// splitSet reads the text after SET as the regular expression of Flink's SetOperationParseStrategy does
// (the same from 1.15 to 2.3; 1.13 and 1.14 differ in the semicolon only):
//
//	SET(\s+(?<key>[^'\s]+)\s*=\s*('(?<quotedVal>[^']*)'|(?<val>[^;\s]+)))?\s*;?
//
// and returns how far it reads, 0 if it does not match. The key is greedy: a=b=c sets "a=b". A quoted value that
// another quote follows is left to the caller, as not matching.
func splitSet(rest string) (key, value string, n int) {
	at, end := keyRun(rest)
	if end == at {
		return "", "", 0
	}
	// The longest key first: the whole run with = after it, then up to the last = inside of it, and so on.
	equals := end
	for equals < len(rest) && isJavaSpace(rest[equals]) {
		equals++
	}
	if equals == len(rest) || rest[equals] != '=' || equals == end {
		equals = strings.LastIndexByte(rest[:end], '=')
	}
	for equals > at {
		from := equals + 1
		for from < len(rest) && isJavaSpace(rest[from]) {
			from++
		}
		key := strings.TrimRightFunc(rest[at:min(equals, end)], isJavaSpaceRune)
		if strings.HasPrefix(rest[from:], "'") {
			if q := strings.IndexByte(rest[from+1:], '\''); q >= 0 {
				to := from + 1 + q
				if strings.HasPrefix(rest[to+1:], "'") {
					return "", "", 0
				}
				return key, rest[from+1 : to], to + 1
			}
			return "", "", 0
		}
		to := from
		for to < len(rest) && rest[to] != ';' && !isJavaSpace(rest[to]) {
			to++
		}
		if to > from {
			return key, rest[from:to], to
		}
		equals = strings.LastIndexByte(rest[:min(equals, end)], '=')
	}
	return "", "", 0
}

// splitReset reads the text after RESET: RESET(\s+(?<key>[^'\s]+)\s*)?\s*;?
func splitReset(rest string) (key string, n int) {
	at, end := keyRun(rest)
	if end == at {
		return "", 0
	}
	return rest[at:end], end
}

// keyRun returns where \s+ at the start of rest ends, and where the longest [^'\s;]+ after it does; the same
// twice if rest has no such thing. Flink's expressions admit a semicolon in the key, but a statement ends there,
// and a key that looks like a comment, but in a script it is one.
func keyRun(rest string) (at, end int) {
	for at < len(rest) && isJavaSpace(rest[at]) {
		at++
	}
	switch {
	case at == 0, strings.HasPrefix(rest[at:], "--"), strings.HasPrefix(rest[at:], "//"), strings.HasPrefix(rest[at:], "/*"):
		return 0, 0
	}
	for end = at; end < len(rest) && rest[end] != '\'' && rest[end] != ';' && !isJavaSpace(rest[end]); end++ {
	}
	return at, end
}

// significant returns the tokens of s without blanks and comments.
func significant(s Statement) []Token { return slices.Collect(s.Significant()) }

// isJavaSpace is \s of java.util.regex.
func isJavaSpace(c byte) bool { return isBlank(c) || c == '\v' }

func isJavaSpaceRune(r rune) bool { return r < 0x80 && isJavaSpace(byte(r)) }
