// Package mask says what the platform shows of a text that it did not write: lines of logs, stacks, reasons, what a JobManager reports. The
// platform knows no secret of a job, so what looks like one is masked by where it is: the value of a sensitive name, the user of a URL, a
// bearer token.
package mask

import (
	"io"
	"strings"

	"flink-entrypoint/internal/redact"
	"flink-entrypoint/internal/secret"
)

// Token begins each bearer token of the platform, so that one is recognized wherever it is.
const Token = "fp_"

// TokenLength is the length of what follows: 32 bytes in base64url without padding.
const TokenLength = 43

// IsToken reports whether the text has the form of a token of the platform, so that it is masked wherever it is.
func IsToken(text string) bool {
	rest, ok := strings.CutPrefix(text, Token)
	return ok && len(rest) >= TokenLength && len(rest) < 200 && !strings.ContainsFunc(rest, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_')
	})
}

// Text is the text as it may be shown.
func Text(text string) string {
	return tokens(redact.Assignments(new(redact.Redactor).Redact(text)))
}

// tokens masks bearer tokens: the tokens of the platform, and what follows the word Bearer.
func tokens(text string) string {
	if !strings.Contains(text, Token) && !strings.Contains(text, "earer ") && !strings.Contains(text, "EARER ") {
		return text
	}
	var b strings.Builder
	for at := 0; at < len(text); {
		begin, n := -1, 0
		switch rest := text[at:]; {
		case strings.HasPrefix(rest, Token):
			if n = run(rest[len(Token):]); n >= TokenLength {
				begin, n = at, n+len(Token)
			}
		case len(rest) > len(bearer) && strings.EqualFold(rest[:len(bearer)], bearer):
			if n = run(rest[len(bearer):]); n >= 16 { // a shorter word is a word of a sentence
				begin = at + len(bearer)
			}
		}
		if begin < 0 {
			b.WriteByte(text[at])
			at++
			continue
		}
		b.WriteString(text[at:begin] + secret.Mask)
		at = begin + n
	}
	return b.String()
}

const bearer = "Bearer "

// run is how many letters of a token text begins with (RFC 6750, token68).
func run(text string) int {
	for i := range len(text) {
		c := text[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~+/=", c) >= 0) {
			return i
		}
	}
	return len(text)
}

// Writer returns a writer that masks what goes to w. Each Write must be complete text, as a line of a log is.
func Writer(w io.Writer) io.Writer { return writer{w} }

type writer struct{ w io.Writer }

func (w writer) Write(b []byte) (int, error) {
	if _, err := io.WriteString(w.w, Text(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}
