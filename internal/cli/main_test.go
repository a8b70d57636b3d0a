package cli

import (
	"bytes"
	"strings"
	"testing"
)

// failing is an output that panics as often as it is used.
type failing struct{ after int }

func (f *failing) Write(b []byte) (int, error) {
	if f.after--; f.after < 0 {
		panic("the output fails")
	}
	return len(b), nil
}

// TestPanicsHaveACodeOfOurs: a panic while a panic or a failure was reported ended with Go's exit code 2, which belongs to Flink.
func TestPanicsHaveACodeOfOurs(t *testing.T) {
	for _, args := range [][]string{{"--no-such-flag"}, {"explain"}, {"/no/such/command"}} {
		for after := range 3 {
			var out bytes.Buffer
			code := Main(System{Args: append([]string{"--log-level", "debug"}, args...), Env: []string{"FLINK_HOME=" + t.TempDir()}, Stdout: &out, Stderr: &failing{after}})
			if code < 20 {
				t.Errorf("%v, panic after %d lines: exit code %d, want 70 or the code of the failure", args, after, code)
			}
		}
	}
	var errs bytes.Buffer
	if code := Main(System{Args: []string{"version"}, Stdout: &failing{}, Stderr: &errs}); code != 70 || !strings.Contains(errs.String(), "error: ") {
		t.Errorf("exit code %d, want 70\n%s", code, errs.String())
	}
}
