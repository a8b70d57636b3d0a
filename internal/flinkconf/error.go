package flinkconf

import "strings"

// Error is a Java exception as Flink would throw it: class, message and cause. Memory and configuration
// parsing return it so that a user sees Flink's own words and a test can compare the whole chain.
type Error struct {
	Class   string // e.g. org.apache.flink.configuration.IllegalConfigurationException
	Message string // the message alone, without the class
	Cause   error
}

// Error returns the message, followed by those of the causes that are not already part of it.
func (e *Error) Error() string {
	s := e.Message
	if e.Cause != nil {
		if c := e.Cause.Error(); !strings.Contains(s, c) {
			if s == "" {
				return c
			}
			s += ": " + c
		}
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Chain returns "class: message" for e and its causes, outermost first, as a Java stack trace heads them.
func (e *Error) Chain() []string {
	var out []string
	for e != nil {
		out = append(out, e.Class+": "+e.Message)
		next, ok := e.Cause.(*Error)
		if !ok {
			break
		}
		e = next
	}
	return out
}

// Java classes of the exceptions that Flink throws while it reads configuration.
const (
	IllegalConfiguration = "org.apache.flink.configuration.IllegalConfigurationException"
	IllegalArgument      = "java.lang.IllegalArgumentException"
	NumberFormat         = "java.lang.NumberFormatException"
	RuntimeException     = "java.lang.RuntimeException"
	Arithmetic           = "java.lang.ArithmeticException"
	IndexOutOfBounds     = "java.lang.StringIndexOutOfBoundsException"
	FlinkParse           = "org.apache.flink.runtime.entrypoint.FlinkParseException"
	MissingArgument      = "org.apache.commons.cli.MissingArgumentException"
)
