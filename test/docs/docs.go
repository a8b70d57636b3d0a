// Package docs executes the examples of the documentation.
//
// Of each page in docs and of the README, in the order of the text:
//
//   - a fenced block whose info string ends with title=PATH becomes the file PATH of the page's working directory;
//   - a fenced block of the language console is executed: a line that begins with "$ " is a command (continued
//     by lines that begin with "> "), the lines after it are what it prints, stderr included. "…" stands for any text in a line, and alone in
//     a line for any number of lines. A command without such lines may print anything. A command must succeed, unless
//     what it prints holds a line that begins with "error: ". All commands of a page run in one shell.
//   - <!-- docs: home=2.2.1 memory=2g cpu=2 --> says which Flink the commands after it find and the container's limits
//     (none: no limit); <!-- docs: skip --> leaves the next console block out.
//
// The commands find Flink in /opt/flink and the default run dir, both of which the test puts elsewhere.
package docs

import (
	"fmt"
	"strings"
)

// A step is what one block or line of a page asks for.
type step struct {
	line    int    // of the page
	file    string // to write, or
	content string
	command string   // to execute, or
	want    []string // what it prints; nil: anything
	set     map[string]string
}

// parse finds the steps of a page.
func parse(page string) ([]step, error) {
	var steps []step
	skip := false
	lines := strings.Split(page, "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if words, ok := strings.CutPrefix(line, "<!-- docs:"); ok {
			set := map[string]string{}
			for _, w := range strings.Fields(strings.TrimSuffix(words, "-->")) {
				key, value, _ := strings.Cut(w, "=")
				set[key] = value
			}
			if _, ok := set["skip"]; ok {
				skip = true
				continue
			}
			steps = append(steps, step{line: i + 1, set: set})
			continue
		}
		info, ok := strings.CutPrefix(line, "```")
		if !ok {
			continue
		}
		from := i + 1
		for i++; i < len(lines) && strings.TrimSpace(lines[i]) != "```"; i++ {
		}
		if i == len(lines) {
			return nil, fmt.Errorf("line %d: the block does not end", from)
		}
		body := lines[from:i]
		language, rest, _ := strings.Cut(info, " ")
		if title, ok := strings.CutPrefix(rest, "title="); ok {
			steps = append(steps, step{line: from, file: title, content: strings.Join(body, "\n") + "\n"})
			continue
		}
		if language != "console" {
			continue
		}
		if skip {
			skip = false
			continue
		}
		commands, err := console(body, from+1)
		if err != nil {
			return nil, err
		}
		steps = append(steps, commands...)
	}
	return steps, nil
}

// console splits a console block, which begins in that line of the page.
func console(body []string, line int) ([]step, error) {
	var steps []step
	for i := 0; i < len(body); i++ {
		command, ok := strings.CutPrefix(body[i], "$ ")
		if !ok {
			if len(steps) == 0 {
				return nil, fmt.Errorf("line %d: a console block must begin with '$ '", line+i)
			}
			last := &steps[len(steps)-1]
			last.want = append(last.want, body[i])
			continue
		}
		at := line + i
		for i+1 < len(body) && (strings.HasPrefix(body[i+1], "> ") || body[i+1] == ">") {
			i++
			command += "\n" + strings.TrimPrefix(strings.TrimPrefix(body[i], ">"), " ")
		}
		steps = append(steps, step{line: at, command: command})
	}
	return steps, nil
}

// matches reports whether lines are what was wanted, where "…" is a wildcard.
func matches(want, got []string) bool {
	if len(want) == 0 {
		return len(got) == 0
	}
	if want[0] == "…" {
		for i := 0; i <= len(got); i++ {
			if matches(want[1:], got[i:]) {
				return true
			}
		}
		return false
	}
	return len(got) > 0 && lineMatches(want[0], got[0]) && matches(want[1:], got[1:])
}

func lineMatches(want, got string) bool {
	parts := strings.Split(strings.TrimRight(want, " "), "…")
	got = strings.TrimRight(got, " ")
	if len(parts) == 1 {
		return want == got
	}
	rest, ok := strings.CutPrefix(got, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}
