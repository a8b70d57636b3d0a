package javatext

import "strings"

// Exception is a Java exception as Flink would throw it: class, message and cause. The rooms that follow Flink's code
// return it, so that a user sees Flink's own words and a test can compare the whole chain.
type Exception struct {
	Class   string // e.g. org.apache.flink.configuration.IllegalConfigurationException
	Message string // the message alone, without the class
	Cause   error
	Key     string // of the configuration, whose value cannot be read, if that is the reason
}

// Classes of exceptions that Java's own libraries throw.
const (
	IllegalArgument  = "java.lang.IllegalArgumentException"
	NumberFormat     = "java.lang.NumberFormatException"
	RuntimeException = "java.lang.RuntimeException"
	Arithmetic       = "java.lang.ArithmeticException"
	IndexOutOfBounds = "java.lang.StringIndexOutOfBoundsException"
	ClassCast        = "java.lang.ClassCastException"
	NullPointer      = "java.lang.NullPointerException"
	StackOverflow    = "java.lang.StackOverflowError"
)

// Error returns the message, followed by the messages of the causes that are not already part of it.
func (e *Exception) Error() string {
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
func (e *Exception) Unwrap() error { return e.Cause }

// Chain returns "class: message" for e and its causes, outermost first, as a Java stack trace heads them.
func (e *Exception) Chain() []string {
	var out []string
	for e != nil {
		out = append(out, e.Class+": "+e.Message)
		next, ok := e.Cause.(*Exception)
		if !ok {
			break
		}
		e = next
	}
	return out
}
