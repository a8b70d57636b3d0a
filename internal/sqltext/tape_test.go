package sqltext_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/sqltext"
)

// TestTape: a tape holds what a list of tokens holds, whatever the order in which it is read, and also when it is used again.
func TestTape(t *testing.T) {
	pieces := []string{"a", ",", "(", ")", "'text'", "'it''s'", " ", "\n", "\r\n", "-- a comment, which is longer than fifteen bytes\n", "1234567", "`Ä𝄞`", "AS", "/*+",
		" */", "'" + strings.Repeat("long ", 50) + "'", strings.Repeat(" ", 300), " U&'\\00e4' UESCAPE '!'", "'a' 'b'\n'c'", " x'00'"}
	random := rand.New(rand.NewPCG(1, 2))
	var tape sqltext.Tape
	for _, size := range []int{1, 3, 63, 64, 65, 500, 100, 3000, 7} {
		var text strings.Builder
		text.WriteString("SELECT 1;\n  SELECT ")
		for range size {
			text.WriteString(pieces[random.IntN(len(pieces))])
		}
		script, err := sqltext.Split(text.String(), sqltext.DialectOf(flinkversion.Of(2, 2, 0)))
		if err != nil {
			t.Fatal(err)
		}
		s := script[len(script)-1]
		want := slices.Collect(s.Significant())
		tape.Start(s)
		for _, token := range want {
			tape.Add(token)
		}
		if tape.Len() != len(want) {
			t.Fatalf("%d tokens, want %d", tape.Len(), len(want))
		}
		for n := range 3 * len(want) {
			i := n
			if n >= len(want) {
				i = random.IntN(len(want))
			}
			from, to := tape.Span(i)
			if got := tape.Token(i); got != want[i] || tape.Kind(i) != want[i].Kind || tape.Text(i) != want[i].Text || from != want[i].Offset || to != from+len(want[i].Text) {
				t.Fatalf("token %d of %d is %+v, want %+v", i, len(want), got, want[i])
			}
			if tape.Find(from) != i || tape.Find(from+1) != i+1 {
				t.Fatalf("token %d is found at %d, the next one at %d", i, tape.Find(from), tape.Find(from+1))
			}
			value, end, err := tape.Literals(i)
			wantValue, wantEnd, wantErr := sqltext.Literals(want, i)
			if value != wantValue || end != wantEnd || fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Fatalf("literal %d is %q up to %d, %v; want %q up to %d, %v", i, value, end, err, wantValue, wantEnd, wantErr)
			}
		}
	}
}
