package scripts

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string // nil: the shell's
	}{
		{"", []string{}},
		{" \n\t", []string{}},
		{"a  b\tc ", []string{"a", "b", "c"}},
		{`a '' "" ''""`, []string{"a", "", "", ""}},
		{`'a b'c"d e"\ f`, []string{"a bcd e f"}},
		{`a -Dm='my'\''value' "x\"y\\\$z\q"`, []string{"a", "-Dm=my'value", `x"y\$z\q`}},
		{`a '#a,b&c^d*e%f(g!h$i;j|k<l>m~n{o}p?q[r]s` + "`'", []string{"a", "#a,b&c^d*e%f(g!h$i;j|k<l>m~n{o}p?q[r]s`"}},
		{`a b#c "#d" \#e x!y ! % ^ @ + - = , . / : ] é`, []string{"a", "b#c", "#d", "#e", "x!y", "!", "%", "^", "@", "+", "-", "=", ",", ".", "/", ":", "]", "é"}},
		{"\n a b\n", []string{"a", "b"}},
		{"a 'b\nc'", []string{"a", "b\nc"}},
		{`a -Dx=y k=v`, []string{"a", "-Dx=y", "k=v"}},

		{"a\nb", nil}, {"a \\\nb", nil}, {"a \"\\\n\"", nil}, {`a \`, nil}, {`a b\ `, nil},
		{`a 'b`, nil}, {`a "b`, nil}, {`a "b\"`, nil},
		{"a $b", nil}, {"a $", nil}, {`a "$b"`, nil}, {"a `b`", nil}, {"a \"`b`\"", nil}, {"a $'b'", nil},
		{"a;", nil}, {"a &", nil}, {"a | b", nil}, {"a < b", nil}, {"a >b", nil}, {"(a)", nil}, {"a b*", nil}, {"a ?", nil}, {"a [b]", nil},
		{"a {b,c}", nil}, {"a ~", nil}, {"a -Dx=~", nil}, {"a #b", nil}, {"#a", nil}, {"a=b", nil}, {"a=b c", nil}, {"a\rb", nil}, {"a \x01", nil}, {"a \x7f", nil},
	} {
		got, reason := split(test.text)
		if test.want == nil && reason == "" {
			t.Errorf("%q: %q, want it left to the shell", test.text, got)
		} else if test.want != nil && (reason != "" || !slices.Equal(got, test.want)) {
			t.Errorf("%q: %q %s, want %q", test.text, got, reason, test.want)
		}
	}
}

// shellWords returns the words that a shell makes of a text whose first word is "rec".
func shellWords(t testing.TB, shell, text string) (words []string, err error) {
	t.Helper()
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-c", text)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/nowhere", "BASH_FUNC_rec%%=() { printf '%s\\0' rec \"$@\"; }", "LC_ALL=" + locale(text)}
	if shell == "sh" { // need not know functions of the environment
		cmd.Args = []string{path, "-c", "alias rec=\"printf '%s\\\\0' rec\"\n" + text}
	}
	output, err := cmd.CombinedOutput()
	return strings.Split(strings.TrimSuffix(string(output), "\x00"), "\x00"), err
}

// agrees fails if there are words of "rec TEXT", and the shell makes others. A text that is left to the shell is not tried: it may
// be any command.
func agrees(t testing.TB, shell, text string) bool {
	t.Helper()
	text = "rec " + text
	got, reason := split(text)
	if reason != "" || strings.Contains(text, "\x00") { // which no argument can hold
		return false
	}
	want, err := shellWords(t, shell, text)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%s -c %q: %q (%v), here %q", shell, text, want, err, got)
	}
	return true
}

// TestSplitAsBash compares with bash, and with the sh of this machine.
func TestSplitAsBash(t *testing.T) {
	tokens := []string{
		"a", "b", "-D", "k=v", "'", "'", `"`, `"`, `\`, " ", " ", "\t", "\n", "#", "é", "\u00a0", "\u2003", "!", "!!", "%", "^", "]", "@", "+", ":", ",", "=", "-", "--", ".",
		"'x y'", `"x y"`, `'\''`, `\'`, `\"`, `\\`, `\ `, `\$`, `"\$"`, "'$x'", "'`'", "'*'", "'~'", "'{a,b}'", "'#'", `"'"`, `'"'`, "if", "time", "exec", "[[", "\xff", "\xe2\x82",
	}
	const rare = "$`;&|<>()*?[{}~\r\x01\x7f\v\f"
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	compared := 0
	wanted := 4000
	if testing.Short() {
		wanted = 300
	}
	for i := 0; compared < wanted; i++ {
		var text strings.Builder
		for range 1 + r.IntN(12) {
			if r.IntN(60) == 0 {
				text.WriteByte(rare[r.IntN(len(rare))])
			} else {
				text.WriteString(tokens[r.IntN(len(tokens))])
			}
		}
		shell := "bash"
		if i%4 == 0 {
			shell = "sh"
		}
		if agrees(t, shell, text.String()) {
			compared++
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestSplitEachByte: every byte, outside quotes, inside both kinds, and after a backslash.
func TestSplitEachByte(t *testing.T) {
	for c := 1; c < 256; c++ {
		forms := []string{"%c", "x%cy", "%c x", "'%c'", `"%c"`, `\%c`, `"\%c"`, "x '%c", "k=%cv"}
		if testing.Short() {
			forms = forms[c%len(forms):][:1] // each byte in one of them
		}
		for _, form := range forms {
			agrees(t, "bash", strings.ReplaceAll(form, "%c", string([]byte{byte(c)})))
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, text := range []string{"a b", `'a b' "c" \d`, `-Dm='my'\''value'`, `"\$\"\\"`, "#a", "a#b", "a\nb", "k=~", "\xff\xfe", "'"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		agrees(t, "bash", text)
	})
}

func ExampleRecognise() {
	r := Recognise(Request{Command: []string{"bash", "-c", "jobmanager.sh start-foreground; true"}})
	fmt.Println(r.Reason)
	// Output: jobmanager.sh: ; outside quotes is left to the shell
}

// locale picks one for a text.
func locale(text string) string {
	if len(text)%2 == 0 {
		return "C"
	}
	return "C.UTF-8"
}
