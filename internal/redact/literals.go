package redact

import (
	"strings"

	"flink-entrypoint/internal/flinkconf"
	"flink-entrypoint/internal/secret"
)

// maskLiterals masks the value of each option of SQL with a sensitive key: 'password' = 'x'. It may be a word that is not looked for
// elsewhere (see [Ordinary]).
func maskLiterals(text string) string {
	var b strings.Builder
	end := 0 // of what is written
	for at := 0; ; at++ {
		i := strings.IndexByte(text[at:], '=')
		if i < 0 {
			return b.String() + text[end:]
		}
		at += i
		if at < end || !flinkconf.Hidden(quotedBefore(text[end:at])) {
			continue
		}
		open := at + 1
		for open < len(text) && strings.IndexByte(" \t\r\n", text[open]) >= 0 {
			open++
		}
		if open == len(text) || text[open] != '\'' {
			continue
		}
		closing := open + 1
		for ; closing < len(text); closing++ {
			if text[closing] != '\'' {
				continue
			}
			if closing+1 == len(text) || text[closing+1] != '\'' {
				break
			}
			closing++ // two quotes are one
		}
		if closing > open+1 {
			b.WriteString(text[end:open+1] + secret.Mask)
			end = closing
		}
	}
}

// longestKey bounds what is read of a text to find a key in quotes.
const longestKey = 200

// quotedBefore returns what is in quotes at the end of text, "" if there is nothing.
func quotedBefore(text string) string {
	text = strings.TrimRight(text[max(0, len(text)-longestKey):], " \t\r\n")
	if text == "" || text[len(text)-1] != '\'' {
		return ""
	}
	text = text[:len(text)-1]
	return text[strings.LastIndexByte(text, '\'')+1:]
}
