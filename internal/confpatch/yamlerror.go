package confpatch

import (
	"fmt"
	"strconv"
	"strings"

	"flink-entrypoint/internal/flinkconf"
)

const (
	yamlEngineException = "org.snakeyaml.engine.v2.exceptions.YamlEngineException"
	classCast           = "java.lang.ClassCastException"
	nullPointer         = "java.lang.NullPointerException"
	stackOverflow       = "java.lang.StackOverflowError"
)

// A SyntaxError says that Flink rejects a configuration file, and why.
type SyntaxError struct {
	File         string
	Line, Column int    // counted from 1; 0 where the reason has no place
	Reason       string // for people; holds no value of the file
	Flink        *flinkconf.Error
	Log          []LogLine // what Flink logs before it fails
}

// Error returns "FILE:LINE:COLUMN: REASON".
func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Reason
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Reason)
}

// A yamlError is what the layers of the YAML reader panic with; Parse turns it into a SyntaxError.
type yamlError struct {
	reason string
	flink  *flinkconf.Error
	mark   mark
	noMark bool
	marked bool // Flink logs these before it throws
}

// markedError is a MarkedYamlEngineException as Flink rewrites it to hide the file's content. A context of
// "-" stands for Java's null; reason, if not empty, is the problem for people, without content of the file.
func markedError(context string, at *mark, problem string, pm mark, reason string) *yamlError {
	var b strings.Builder
	if context != noContext {
		b.WriteString(context + "\n")
	}
	if at != nil {
		b.WriteString(markText(*at))
	}
	b.WriteString(problem + "\n")
	b.WriteString(markText(pm))
	if reason == "" {
		reason = problem
	}
	if context != noContext && context != "" {
		reason = context + ": " + strings.TrimSpace(reason)
	}
	return &yamlError{reason: reason, flink: &flinkconf.Error{Class: yamlEngineException, Message: b.String()}, mark: pm, marked: true}
}

const noContext = "-"

func markText(m mark) string {
	return " in reader, line " + itoa(m.line+1) + ", column " + itoa(m.col+1) + "\n"
}

// plainError is an exception without a mark.
func plainError(class, message, reason string, at mark) *yamlError {
	if reason == "" {
		reason = message
	}
	return &yamlError{reason: reason, flink: &flinkconf.Error{Class: class, Message: message}, mark: at}
}

// wrappedError is what the constructor makes of a RuntimeException: a YamlEngineException around it.
func wrappedError(class, message, reason string, at mark) *yamlError {
	e := plainError(class, message, reason, at)
	e.flink = &flinkconf.Error{Class: yamlEngineException, Message: class + ": " + message, Cause: e.flink}
	return e
}

// shown is a character as snakeyaml-engine's messages show it: "q(113)".
func shown(c rune) string { return string(c) + "(" + itoa(int(c)) + ")" }

func codePointName(c rune) string { return fmt.Sprintf("U+%04X", c) }

func itoa(n int) string { return strconv.Itoa(n) }
