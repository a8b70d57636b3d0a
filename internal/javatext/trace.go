package javatext

import (
	"strings"
	"unicode"
)

// A Throwable is one exception of a printed stack trace.
type Throwable struct {
	Class   string   // "" where the head is not "class: message"
	Message string   // may have several lines
	Frames  []string // the lines below its head: frames, "… more", and exceptions that were suppressed with theirs
}

// Head is the throwable in one line: "class: message", with the first line of the message.
func (t Throwable) Head() string {
	line, _, _ := strings.Cut(t.Message, "\n")
	line = strings.TrimSpace(line)
	switch {
	case t.Class == "":
		return line
	case line == "":
		return t.Class
	}
	return t.Class + ": " + line
}

// isClassName reports whether a text is a qualified class name, or a simple one that looks like an exception.
func isClassName(text string) bool {
	qualified := false
	for part := range strings.SplitSeq(text, ".") {
		for i, c := range part {
			if c != '_' && c != '$' && !unicode.IsLetter(c) && (i == 0 || !unicode.IsDigit(c)) {
				return false
			}
		}
		if part == "" {
			return false
		}
		qualified = len(part) < len(text)
	}
	return qualified || strings.HasSuffix(text, "Exception") || strings.HasSuffix(text, "Error") || strings.HasSuffix(text, "Throwable")
}

// Trace reads a stack trace as Throwable.printStackTrace writes it: the outermost exception first, the one that caused everything last.
// A suppressed exception stays below the one that it was suppressed by, with its own causes: it is not what failed. A text that is not a
// stack trace is one throwable without class and frames; an empty one gives nothing.
func Trace(text string) []Throwable {
	const cause, suppressed = "Caused by: ", "Suppressed: "
	var all []Throwable
	var inFrames bool
	below := -1 // indentation of the suppressed exception that is being read; -1: none
	begin := func(head string) {
		t := Throwable{Message: head}
		if class, message, ok := strings.Cut(head, ": "); ok && isClassName(class) {
			t.Class, t.Message = class, message
		} else if name := strings.TrimSuffix(head, ":"); isClassName(name) {
			t.Class, t.Message = name, ""
		}
		all, inFrames, below = append(all, t), false, -1
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		bare := strings.TrimLeft(line, " \t")
		indent := len(line) - len(bare)
		if below >= 0 && bare != "" && indent < below {
			below = -1
		}
		switch {
		case len(all) == 0:
			if bare != "" {
				begin(strings.TrimPrefix(bare, cause))
			}
		case below < 0 && strings.HasPrefix(bare, cause):
			begin(strings.TrimPrefix(bare, cause))
		case below < 0 && indent > 0 && strings.HasPrefix(bare, suppressed):
			below, inFrames = indent, true
			fallthrough
		case below >= 0, isFrame(bare, indent):
			t := &all[len(all)-1]
			t.Frames, inFrames = append(t.Frames, line), true
		case !inFrames:
			t := &all[len(all)-1]
			t.Message += "\n" + line
		case bare != "": // text after the frames, e.g. "End of exception on server side>"
			t := &all[len(all)-1]
			t.Frames = append(t.Frames, line)
		}
	}
	for i := range all {
		all[i].Message = strings.TrimRight(all[i].Message, " \t\n")
	}
	return all
}

// isFrame reports whether a line is one of a stack: "at class.method(File.java:1)" or "... 12 more".
func isFrame(bare string, indent int) bool {
	if indent == 0 {
		return false
	}
	at, ok := strings.CutPrefix(bare, "at ")
	return ok && strings.Contains(at, "(") || strings.HasPrefix(bare, "... ")
}
