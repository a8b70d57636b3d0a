package yaml

import (
	"fmt"
	"strconv"
	"strings"

	"flink-entrypoint/internal/javatext"
)

// EngineException is the class of most exceptions of snakeyaml-engine.
const EngineException = "org.snakeyaml.engine.v2.exceptions.YamlEngineException"

// An Error says why a document cannot be read, for people and in Java's words.
type Error struct {
	Fault   Fault  // what it is by the strict rules
	Found   string // what the Fault is about: see there
	Reason  string // holds nothing of the document but Found, and names of anchors and tags
	Java    *javatext.Exception
	Mark    Mark
	NoPlace bool // Mark says nothing
	Marked  bool // it is a MarkedYamlEngineException, which Flink logs before it throws

	start Mark // where a Fault begins; by the strict rules Mark is there
}

// A Fault is what can be wrong with a document by the strict rules. A room that shows errors knows what to do about it.
type Fault uint8

const (
	OtherFault Fault = iota
	TooLarge
	TooDeep
	TooManyAliased
	NotUTF8
	ForbiddenCharacter
	SecondDocument
	UnexpectedText
	TextAfterEntry
	UnexpectedIndentation
	TabIndentation
	UnexpectedCharacter
	NoKey
	KeyMissing
	KeyLines
	KeyNode
	KeyMark
	MergeKey
	ColonInValue
	ListPlace
	ValueMissing
	CommaMissing
	UnclosedBracket
	EndInBrackets
	UnclosedQuote
	EndInEscape
	UnknownEscape
	EscapeDigits
	EscapeRange
	HalfPair
	BlockHeader
	UndefinedAlias
	AnchorName
	NoBlank
	UnknownTag
	MisplacedTag
	SecondProperty
)

// reasons are the texts for the faults; %s is what was found.
var reasons = [...]string{
	TooLarge:              "the document is larger than %s",
	TooDeep:               "more than %s levels of nesting",
	TooManyAliased:        "aliases add more than %s values",
	NotUTF8:               "the document is not UTF-8",
	ForbiddenCharacter:    "control character %s",
	SecondDocument:        "a second document begins here",
	UnexpectedText:        "unexpected text",
	TextAfterEntry:        "unexpected text after the %s",
	UnexpectedIndentation: "unexpected indentation",
	TabIndentation:        "a tab cannot indent",
	UnexpectedCharacter:   "unexpected '%s'",
	NoKey:                 "expected a key and a colon",
	KeyMissing:            "expected a key",
	KeyLines:              "a key and its colon must be on one line",
	KeyNode:               "a key must be a string, found %s",
	KeyMark:               "keys must be strings on one line",
	MergeKey:              "merge keys (<<) are not supported",
	ColonInValue:          `": " is not allowed here`,
	ListPlace:             "a list cannot begin here",
	ValueMissing:          "expected a value",
	CommaMissing:          "expected ',' or '%s'",
	UnclosedBracket:       "'%s' is never closed",
	EndInBrackets:         "the document ends inside brackets",
	UnclosedQuote:         "the string's closing %s is missing",
	EndInEscape:           "the document ends inside a string",
	UnknownEscape:         "unknown escape",
	EscapeDigits:          "expected %s hexadecimal digits after the backslash and letter",
	EscapeRange:           "no Unicode character has that number",
	HalfPair:              "half a surrogate pair",
	BlockHeader:           "unexpected text after '%s'",
	UndefinedAlias:        "an alias without its anchor",
	AnchorName:            "an anchor without a name",
	NoBlank:               "expected a blank after the anchor or tag",
	UnknownTag:            "a tag",
	MisplacedTag:          "the tag !!str on %s",
	SecondProperty:        "too many anchors or tags",
}

// Error returns the reason without its place.
func (e *Error) Error() string { return e.Reason }

// markedError is a MarkedYamlEngineException as Flink rewrites it to hide the file's content. A context of
// "-" means Java's null; reason, if not empty, is the problem for people, without content of the file.
func markedError(context string, at *Mark, problem string, pm Mark, reason string) *Error {
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
	return &Error{Reason: reason, Java: &javatext.Exception{Class: EngineException, Message: b.String()}, Mark: pm, Marked: true}
}

const noContext = "-"

func markText(m Mark) string {
	return " in reader, line " + itoa(m.Line+1) + ", column " + itoa(m.Column+1) + "\n"
}

// as says what an error is by the strict rules, and where what is wrong begins.
func (e *Error) as(f Fault, start Mark, found string) *Error {
	e.Fault, e.start, e.Found = f, start, found
	return e
}

// strictly describes an error by the strict rules.
func (e *Error) strictly() {
	if e.Fault != OtherFault {
		e.Reason, e.Mark, e.NoPlace = strings.ReplaceAll(reasons[e.Fault], "%s", e.Found), e.start, false
	}
}

// strictError is an error that Java's words do not have.
func strictError(f Fault, at Mark, found string) *Error {
	return (&Error{}).as(f, at, found)
}

// plainError is an exception without a mark.
func plainError(class, message, reason string, at Mark) *Error {
	if reason == "" {
		reason = message
	}
	return &Error{Reason: reason, Java: &javatext.Exception{Class: class, Message: message}, Mark: at}
}

// wrappedError is what the constructor makes of a RuntimeException: a YamlEngineException around it.
func wrappedError(class, message, reason string, at Mark) *Error {
	e := plainError(class, message, reason, at)
	e.Java = &javatext.Exception{Class: EngineException, Message: class + ": " + message, Cause: e.Java}
	return e
}

// shown is a character as snakeyaml-engine's messages show it: "q(113)".
func shown(c rune) string { return string(c) + "(" + itoa(int(c)) + ")" }

func codePointName(c rune) string { return fmt.Sprintf("U+%04X", c) }

func itoa(n int) string { return strconv.Itoa(n) }
