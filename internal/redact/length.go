package redact

import (
	"fmt"
	"strings"
)

// Lines cuts text of more than limit bytes at the end of a line, and says how much is left out.
func Lines(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	head := text[:limit-100] // room for the last line
	if i := strings.LastIndexByte(head, '\n'); i > 0 {
		head = head[:i]
	}
	rest := text[len(head):]
	return fmt.Sprintf("%s\nflink-entrypoint: %d more lines are left out here (%d bytes); explain shows them\n", strings.ToValidUTF8(head, ""), strings.Count(strings.TrimRight(rest, "\n"), "\n"), len(rest))
}

// Shorten cuts a value of more than limit bytes, and says how long it is.
func Shorten(value string, limit int) string {
	if len(value) <= limit {
		return value
	}
	return fmt.Sprintf("%s… (%d bytes in all)", strings.ToValidUTF8(value[:limit], ""), len(value))
}
