package javatext

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTrace(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		heads  []string
		frames []int // lines below each head
	}{
		"one":       {"java.lang.ArithmeticException: / by zero\n\tat A.b(A.java:1)\n\tat C.d(Unknown Source)\n", []string{"java.lang.ArithmeticException: / by zero"}, []int{2}},
		"a wrapper": {"a.B: outer\n\tat X.y(X.java:1)\nCaused by: c.D: inner\n\tat Z.z(Z.java:2)\n\t... 3 more\n", []string{"a.B: outer", "c.D: inner"}, []int{1, 2}},
		"a message of several lines": {"org.apache.flink.table.api.ValidationException: Unable to create a sink.\n\nTable options are:\n\n'connector'='nothing'\n\tat X.y(X.java:1)\nCaused by: c.D: inner\n",
			[]string{"org.apache.flink.table.api.ValidationException: Unable to create a sink.", "c.D: inner"}, []int{1, 0}},
		"a suppressed exception with a cause of its own": {"a.B: outer\n\tat X.y(X.java:1)\n\tSuppressed: s.S: on close\n\t\tat X.close(X.java:2)\n\tCaused by: s.T: disk\n\t\t... 1 more\nCaused by: c.D: inner\n\tat Z.z(Z.java:2)\n",
			[]string{"a.B: outer", "c.D: inner"}, []int{5, 1}},
		"suppressed below the cause":     {"a.B: outer\nCaused by: c.D: inner\n\tat Z.z(Z.java:2)\n\tSuppressed: s.S: on close\n\tCaused by: s.T: disk\n", []string{"a.B: outer", "c.D: inner"}, []int{0, 3}},
		"without a message":              {"java.lang.NullPointerException\n\tat A.b(A.java:1)\n", []string{"java.lang.NullPointerException"}, []int{1}},
		"a cause without a message":      {"a.B\nCaused by: java.util.concurrent.TimeoutException\n", []string{"a.B", "java.util.concurrent.TimeoutException"}, []int{0, 0}},
		"a colon that ends no class":     {"cannot connect: refused", []string{"cannot connect: refused"}, []int{0}},
		"a simple name of an exception":  {"JobException: Recovery is suppressed\nCaused by: java.lang.ArithmeticException: / by zero", []string{"JobException: Recovery is suppressed", "java.lang.ArithmeticException: / by zero"}, []int{0, 0}},
		"a message that looks like code": {"a.B: the word at (place)\n at night (or day)\n\tat A.b(A.java:1)", []string{"a.B: the word at (place)"}, []int{2}},
		"lines end as on Windows":        {"a.B: x\r\n\tat A.b(A.java:1)\r\nCaused by: c.D: y\r\n", []string{"a.B: x", "c.D: y"}, []int{1, 0}},
		"of Flink's REST API": {"<Exception on server side:\nx.RestHandlerException: Could not execute application.\n\tat A.b(A.java:1)\nCaused by: y.Z: real\n\tat A.b(A.java:1)\n\nEnd of exception on server side>",
			[]string{"<Exception on server side:", "y.Z: real"}, []int{1, 2}},
		"empty":      {"", nil, nil},
		"only space": {" \n\n", nil, nil},
	} {
		got := Trace(c.text)
		var heads []string
		var frames []int
		for _, x := range got {
			heads, frames = append(heads, x.Head()), append(frames, len(x.Frames))
		}
		if !slices.Equal(heads, c.heads) || !slices.Equal(frames, c.frames) {
			t.Errorf("%s: %q %v, want %q %v", name, heads, frames, c.heads, c.frames)
		}
	}
}

// TestTraceOfFlink: what real JobManagers answered when a job divided by zero.
func TestTraceOfFlink(t *testing.T) {
	files, err := filepath.Glob("../../test/platform/recorded/bodies/*/failed/exceptions.json")
	if err != nil || len(files) < 3 {
		t.Fatalf("%v %v", files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			History struct {
				Entries []struct {
					Stack string `json:"stacktrace"`
				}
			} `json:"exceptionHistory"`
		}
		if err := json.Unmarshal(b, &answer); err != nil || len(answer.History.Entries) == 0 {
			t.Fatalf("%s: %v", file, err)
		}
		stack := answer.History.Entries[0].Stack
		got := Trace(stack)
		if len(got) != 2 {
			t.Fatalf("%s: %d throwables", file, len(got))
		}
		if got[0].Class != "org.apache.flink.runtime.JobException" || !strings.HasPrefix(got[0].Message, "Recovery is suppressed by FixedDelayRestartBackoffTimeStrategy(") {
			t.Errorf("%s: %q", file, got[0].Head())
		}
		if got[1].Class != "java.lang.ArithmeticException" || got[1].Message != "/ by zero" || got[1].Frames[0] != "\tat StreamExecCalc$5.processElement(Unknown Source)" {
			t.Errorf("%s: %+v", file, got[1])
		}
		if lines := strings.Count(strings.TrimSpace(stack), "\n") + 1; len(got[0].Frames)+len(got[1].Frames)+2 != lines {
			t.Errorf("%s: %d lines, %d and %d frames", file, lines, len(got[0].Frames), len(got[1].Frames))
		}
	}
}

// FuzzTrace: no text makes it fail, and no line of a text is lost.
func FuzzTrace(f *testing.F) {
	f.Add("a.B: x\n\tat A.b(A.java:1)\nCaused by: c.D: y\n")
	f.Add("\tSuppressed: x\n\tCaused by: y\nCaused by: z")
	f.Fuzz(func(t *testing.T, text string) {
		n := 0
		for _, x := range Trace(text) {
			n += 1 + strings.Count(x.Message, "\n") + len(x.Frames)
		}
		if lines := strings.Count(text, "\n") + 1; n > lines {
			t.Errorf("%d lines became %d", lines, n)
		}
	})
}
