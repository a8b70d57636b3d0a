package confpatch

import (
	"fmt"
	"strings"

	"flink-entrypoint/internal/javatext"
)

// A SyntaxError says that Flink rejects a configuration file, and why.
type SyntaxError struct {
	File         string
	Line, Column int    // counted from 1; 0 where the reason has no place
	Reason       string // for people; holds no value of the file
	Flink        *javatext.Exception
	Log          []LogLine // what Flink logs before it fails
	hint         string
}

// Error returns "FILE:LINE:COLUMN: REASON".
func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Reason
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Reason)
}

// Hint returns what to do about it, or "".
func (e *SyntaxError) Hint() string { return e.hint }

// explain looks for the usual reason when a file is not YAML at all.
func (e *SyntaxError) explain(text string) {
	text = strings.TrimPrefix(text, "\ufeff")
	// parseConfigurationAndExportLogs of bash-java-utils.sh prints this, and config-parser-utils.sh takes it for the configuration.
	if rest, ok := strings.CutPrefix(strings.TrimSpace(text), "[ERROR] Could not "); ok && (strings.HasPrefix(rest, "parse configurations properly") || strings.HasPrefix(rest, "get configurations properly")) {
		e.Line = 0
		e.Reason = "this is not a configuration but the error message of Flink's script bin/config-parser-utils.sh, which wrote it over the file"
		e.hint = "restore the file: start from the image's again, or mount it again. The script overwrites it where it cannot read it or what the official entrypoint sets in it; its reason is in the file"
		return
	}
	for i, n := 0, 1; i < len(text); n++ {
		end, next := lineAt(text, i)
		line := strings.TrimSpace(text[i:end])
		i = next
		if e.Line > 0 && (n < e.Line-1 || n > e.Line+1) {
			continue // e.g. in a block scalar, which has nothing to do with the error
		}
		if name, _, equals := strings.Cut(line, "="); equals && isName(name) && name[0] != '#' && !strings.Contains(name, ":") {
			e.hint = "a line reads 'key=value': write a colon and a blank instead of the '='"
			return
		}
	}
}
