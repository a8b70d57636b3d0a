package sqltext

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"flink-entrypoint/internal/flinkversion"
)

func TestLex(t *testing.T) {
	old, new := DialectOf(flinkversion.Of(1, 20, 0)), DialectOf(flinkversion.Of(2, 0, 0))
	tests := []struct {
		name    string
		src     string
		dialect Dialect
		want    string // kind letter and text of each token but blanks
	}{
		{"words and symbols", "SELECT a.b<>1 FROM t", new, "W|SELECT W|a Y|. W|b Y|<> N|1 W|FROM W|t"},
		{"string with quote", "'it''s' 'a;b'", new, "S|'it''s' S|'a;b'"},
		{"backslash is ordinary", `'a\' b`, old, `S|'a\' W|b`},
		{"C-style since 2.0", `E'a\'b'`, new, `S|E'a\'b'`},
		{"prefixes", "N'a' _utf8'b' U&'c' X'0d'", old, "S|N'a' S|_utf8'b' S|U&'c' S|X'0d'"},
		{"backticks", "`a``b;` U&\"c\"\"d\"", old, "Q|`a``b;` Q|U&\"c\"\"d\""},
		{"double quotes quote nothing", `"it's" x'`, old, `Y|" W|it S|'s" x'`},
		{"comments", "a--b'\nc//d'\ne/*f'*/g", old, "W|a C|--b' W|c C|//d' W|e C|/*f'*/ W|g"},
		{"formal comment of stars", "/***/ a */ b", old, "C|/***/ a */ W|b"},
		{"hint is tokens", "/*+ A('*/') */", old, "H|/*+ W|A Y|( S|'*/' Y|) h|*/"},
		{"numbers", "1 1. .5 1.5e-3 1e 1..2", old, "N|1 N|1. N|.5 N|1.5e-3 N|1 W|e N|1. N|.2"},
		{"byte order mark", "\uFEFFa", old, "W|a"},
		{"not ASCII", "中文 é٣ ⴀ", old, "W|中文 W|é٣ W|ⴀ"},
		{"collation", "a.b-c$d a--b$c a$b $", old, "L|a.b-c$d L|a--b$c W|a$b Y|$"},
		{"JDBC escapes", "{d '1'} { fn x} {x}", old, "Y|{d S|'1' Y|} Y|{ fn W|x Y|} Y|{ W|x Y|}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tokens, err := Lex(tt.src, tt.dialect)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, tok := range tokens {
				if tok.Kind != Whitespace {
					got = append(got, string(" CHhWQSNYLR"[tok.Kind])+"|"+tok.Text)
				}
			}
			if d := cmp.Diff(tt.want, strings.Join(got, " ")); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestLexErrors(t *testing.T) {
	tests := []struct{ name, src, want, hint string }{
		{"string", "SELECT 1,\n  'open\n", "line 2, column 3: the string that starts here has no end", "written twice"},
		{"quote in double quotes", `SELECT "it's"`, "line 1, column 11: the string that starts here has no end", "double quotes do not quote"},
		{"C-style string", `SELECT E'open\'`, "line 1, column 8: the string that starts here has no end", `\'`},
		{"backtick", "SELECT `open\n`", "line 1, column 8: the identifier that starts here has no closing backtick", "ends on its line"},
		{"empty identifier", "USE ``", "line 1, column 5: an identifier in backticks cannot be empty", ""},
		{"comment", "SELECT 1\r\n/* open", "line 2, column 1: the comment that starts here has no end (*/)", ""},
		{"full-width semicolon", "SELECT '中😀'；", "line 1, column 13: '；' (U+FF1B) has no meaning in Flink SQL outside of quotes", "ASCII"},
		{"no-break space", "SELECT\u00a01", "line 1, column 7: '\\u00a0' (U+00A0) has no meaning in Flink SQL outside of quotes", "ASCII"},
		{"at sign", "SELECT @a", "line 1, column 8: '@' (U+0040) has no meaning in Flink SQL outside of quotes", ""},
		{"not UTF-8", "SELECT 'gr\xfcn'", "line 1, column 11: the text is not UTF-8 here (byte 0xfc)", "UTF-8"},
		{"second byte order mark", "a\uFEFF", "line 1, column 2: '\\ufeff' (U+FEFF) has no meaning in Flink SQL outside of quotes", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Lex(tt.src, DialectOf(flinkversion.Of(2, 2, 0)))
			var e *Error
			if !errors.As(err, &e) || e.Error() != tt.want || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("got %v, want %s; hint %q", err, tt.want, tt.hint)
			}
		})
	}
	if _, err := Lex("-- gr\xfcn in a comment is harmless\nSELECT 1", Dialect{}); err != nil {
		t.Error(err)
	}
}

// TestRecordedScripts holds Split to what Flink 2.2.1 found in these scripts (oracle_test.go -update).
func TestRecordedScripts(t *testing.T) {
	f, err := os.Open("testdata/scripts.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	scripts := 0
	for d := json.NewDecoder(f); d.More(); scripts++ {
		var r struct {
			Script     string
			Statements []string
		}
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		statements, err := Split(r.Script, DialectOf(flinkversion.Of(2, 2, 0)))
		if err != nil {
			t.Errorf("%q: %v", r.Script, err)
			continue
		}
		var got []string
		for _, s := range statements {
			l, c := advance(s.Text, s.Line, s.Column)
			got = append(got, fmt.Sprintf("%s:%d:%d:%d:%d", s.Kind, s.Line, s.Column, l, c-1))
		}
		if d := cmp.Diff(r.Statements, got); d != "" {
			t.Errorf("%q\n%s", r.Script, d)
		}
	}
	if scripts < 300 {
		t.Errorf("only %d scripts", scripts)
	}
}

func TestSplit(t *testing.T) {
	tests := []struct {
		name, src string
		want      []string // kind @ line:column text
	}{
		{"nothing", " -- c\n ; ;", nil},
		{"last semicolon optional", "SELECT 1; SELECT 2", []string{"query @1:1 SELECT 1", "query @1:11 SELECT 2"}},
		{"comments around are not part", "-- a\nSELECT /* b */ 1 -- c\n;", []string{"query @2:1 SELECT /* b */ 1"}},
		{"hint is part", "SELECT * FROM t /*+ OPTIONS('a'='b') */;", []string{"query @1:1 SELECT * FROM t /*+ OPTIONS('a'='b') */"}},
		{"byte order mark", "\uFEFFSELECT 1", []string{"query @1:1 SELECT 1"}},
		{"line ends", "SELECT 1;\r\nSELECT 2;\rSELECT 3", []string{"query @1:1 SELECT 1", "query @2:1 SELECT 2", "query @3:1 SELECT 3"}},
		{"columns are UTF-16 units", "SELECT '中😀'; SELECT 2", []string{"query @1:1 SELECT '中😀'", "query @1:15 SELECT 2"}},
		{"statement set", "EXECUTE STATEMENT SET BEGIN\nINSERT INTO a SELECT CASE WHEN x THEN 'END' END; INSERT INTO b SELECT 1;\nEND; SELECT 1",
			[]string{"EXECUTE STATEMENT SET @1:1 EXECUTE STATEMENT SET BEGIN\nINSERT INTO a SELECT CASE WHEN x THEN 'END' END; INSERT INTO b SELECT 1;\nEND", "query @3:6 SELECT 1"}},
		{"statement set, wrong but whole", "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1 END; SELECT 1",
			[]string{"EXECUTE STATEMENT SET @1:1 EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1 END", "query @1:57 SELECT 1"}},
		{"nested", "EXECUTE STATEMENT SET BEGIN BEGIN SELECT 1; END; END; SELECT 1",
			[]string{"EXECUTE STATEMENT SET @1:1 EXECUTE STATEMENT SET BEGIN BEGIN SELECT 1; END; END", "query @1:55 SELECT 1"}},
		{"begin and end alone", "BEGIN STATEMENT SET; INSERT INTO a SELECT 1; END;",
			[]string{"BEGIN STATEMENT SET @1:1 BEGIN STATEMENT SET", "INSERT @1:22 INSERT INTO a SELECT 1", "END @1:46 END"}},
		{"create as", "CREATE TABLE t (c AS a+1); CREATE TABLE t WITH ('a'='b') AS SELECT 1; REPLACE TABLE t AS SELECT 1; CREATE VIEW v AS SELECT 1",
			[]string{"CREATE TABLE @1:1 CREATE TABLE t (c AS a+1)", "CREATE TABLE AS @1:28 CREATE TABLE t WITH ('a'='b') AS SELECT 1",
				"CREATE TABLE AS @1:71 REPLACE TABLE t AS SELECT 1", "CREATE VIEW @1:100 CREATE VIEW v AS SELECT 1"}},
		{"bare set", "SET a.b=hdfs://n/p;SET c = s3://x -- why\n; RESET k#1;\nSET 'd' = 'e;f'; SET;",
			[]string{"SET @1:1 SET a.b=hdfs://n/p", "SET @1:20 SET c = s3://x", "RESET @2:3 RESET k#1", "SET @3:1 SET 'd' = 'e;f'", "SET @3:18 SET"}},
		{"set over lines", "set\n k\n=\n'v;w'\n;SELECT 1", []string{"SET @1:1 set\n k\n=\n'v;w'", "query @5:2 SELECT 1"}},
		{"set with a comment for a key", "SET\n--a=b;\n'c'='d'", []string{"SET @1:1 SET\n--a=b;\n'c'='d'"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			statements, err := Split(tt.src, DialectOf(flinkversion.Of(2, 2, 0)))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, s := range statements {
				got = append(got, fmt.Sprintf("%s @%d:%d %s", s.Kind, s.Line, s.Column, s.Text))
				if s.Number != i+1 || !strings.HasPrefix(tt.src[s.Offset:], s.Text) {
					t.Errorf("statement %d: number %d, offset %d", i+1, s.Number, s.Offset)
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	_, err := Split("SELECT 1;\nEXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1;", Dialect{})
	var e *Error
	if !errors.As(err, &e) || e.Error() != "line 2, column 23: the statement set that begins here has no END" {
		t.Errorf("statement set without END: %v", err)
	}
}

func TestStatementTokensAreOfTheScript(t *testing.T) {
	const src = "\uFEFF-- c\nSELECT '中😀' /* x\n */ FROM t;\nSET k = a#b;RESET q//r;"
	statements, err := Split(src, DialectOf(flinkversion.Of(2, 2, 0)))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		text := ""
		line, column := s.Line, s.Column
		for _, tok := range s.Tokens() {
			if !strings.HasPrefix(src[tok.Offset:], tok.Text) || tok.Line != line || tok.Column != column {
				t.Errorf("token %+v: want line %d, column %d", tok, line, column)
			}
			line, column = advance(tok.Text, line, column)
			text += tok.Text
		}
		if text != s.Text {
			t.Errorf("tokens make %q of %q", text, s.Text)
		}
	}
	if l, c := statements[0].At(1, 8); l != 2 || c != 8 {
		t.Errorf("At(1, 8) = %d, %d", l, c)
	}
	if l, c := statements[2].At(1, 3); l != 4 || c != 15 {
		t.Errorf("At(1, 3) = %d, %d", l, c)
	}
}

func TestInserts(t *testing.T) {
	const src = "SELECT 1;\nEXPLAIN STATEMENT SET BEGIN\n  INSERT INTO a SELECT CASE x WHEN 1 THEN 2 END; -- one\n  INSERT INTO b /*+ O('k'=';') */ SELECT 1;\nEND;"
	statements, err := Split(src, Dialect{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range statements[1].Inserts() {
		got = append(got, fmt.Sprintf("%d %s @%d:%d %s|%s", s.Number, s.Kind, s.Line, s.Column, s.Text, src[s.Offset:s.Offset+6]))
	}
	want := []string{"1 INSERT @3:3 INSERT INTO a SELECT CASE x WHEN 1 THEN 2 END|INSERT", "2 INSERT @4:3 INSERT INTO b /*+ O('k'=';') */ SELECT 1|INSERT"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := statements[0].Inserts(); got != nil {
		t.Errorf("a query has inserts: %v", got)
	}
}

func TestParseSet(t *testing.T) {
	tests := []struct{ src, want string }{
		{"SET", "-"}, {"SELECT 1", "-"}, {"RESET 'a'", "-"},
		{"SET 'a' = 'it''s'", `"a" "it's"`},
		{"SET 'a' = ' b '", `"a" "b"`},
		{"SET /* c */ 'a' = U&'\\0041' -- d", `"a" "A"`},
		{"SET 'a' = 'b' \n'c'", `"a" "bc"`},
		{"SET 'a' = U&'!0041' UESCAPE '!'", `"a" "A"`},
		{"SET 'a' = E'b\\tc'", `"a" "b\tc"`},
		{"SET a.b=c", `"a.b" "c"`}, {"set a = 10;", `"a" "10"`}, {"SET a='x y'", `"a" "x y"`}, {"SET a=''", `"a" ""`},
		{"SET a=b=c", `"a=b" "c"`}, {"SET k==v", `"k=" "v"`}, {"SET k=a=", `"k" "a="`}, {"SET k=a= v", `"k=a" "v"`}, {"SET a=it's", `"a" "it's"`},
		{"SET a = hdfs://b:1/c // d", `"a" "hdfs://b:1/c"`},
		{"SET a = 'it''s'", "line 1, column 5: this is not a form of SET that Flink reads"},
		{"SET a", "line 1, column 5: this is not a form of SET that Flink reads"},
		{"SET 'a'", "line 1, column 5: this is not a form of SET that Flink reads"},
		{"\n SET 'a' = 5", "line 2, column 12: the value of SET is not one string"},
		{"SET 'a' = 'b' c", "line 1, column 15: the value of SET is not one string"},
		{"SET 'a' = X'00'", "line 1, column 11: a binary literal X'…' where a string is expected"},
		{"SET 'a' = U&'\\00'", `line 1, column 11: a malformed escape in a U&'…' literal: expected \XXXX or \\`},
	}
	for _, tt := range tests {
		statements, err := Split(tt.src, DialectOf(flinkversion.Of(2, 2, 0)))
		if err != nil || len(statements) != 1 {
			t.Fatalf("%q: %v, %v", tt.src, statements, err)
		}
		got := "-"
		if key, value, ok, err := ParseSet(statements[0]); err != nil {
			got = err.Error()
		} else if ok {
			got = fmt.Sprintf("%q %q", key, value)
		}
		if got != tt.want {
			t.Errorf("ParseSet(%q) = %s, want %s", tt.src, got, tt.want)
		}
	}
}

func TestParseReset(t *testing.T) {
	tests := []struct{ src, want string }{
		{"RESET", "-"}, {"SET", "-"}, {"RESET a.b", `"a.b"`}, {"reset 'a b'", `"a b"`}, {"RESET a#b;", `"a#b"`},
		{"RESET a b", "line 1, column 7: this is not a form of RESET that Flink reads"},
		{"RESET 'a' b", "line 1, column 11: this is not a form of RESET that Flink reads"},
	}
	for _, tt := range tests {
		statements, err := Split(tt.src, DialectOf(flinkversion.Of(2, 2, 0)))
		if err != nil || len(statements) != 1 {
			t.Fatalf("%q: %v, %v", tt.src, statements, err)
		}
		got := "-"
		if key, ok, err := ParseReset(statements[0]); err != nil {
			got = err.Error()
		} else if ok {
			got = fmt.Sprintf("%q", key)
		}
		if got != tt.want {
			t.Errorf("ParseReset(%q) = %s, want %s", tt.src, got, tt.want)
		}
	}
}

// TestLiteralVectors reads the table of values that real Flink read back from their literals.
func TestLiteralVectors(t *testing.T) {
	files := []string{"testdata/literals.tsv"}
	if more := os.Getenv("FLINK_ENTRYPOINT_VECTORS"); more != "" {
		files = append(files, filepath.Join(more, "sql/literals.tsv"))
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		for _, line := range strings.Split(strings.TrimRight(string(b), "\n"), "\n")[1:] {
			f := strings.Split(line, "\t")
			var value, plain string
			if err := json.Unmarshal([]byte(f[1]), &value); err != nil {
				t.Fatalf("%s: %s: %v", file, f[0], err)
			}
			if c, n, ok := strings.Cut(value, "*"); ok && f[2] == "(long)" {
				var times int
				fmt.Sscan(n, &times)
				value = strings.Repeat(c, times)
			} else {
				if err := json.Unmarshal([]byte(f[2]), &plain); err != nil {
					t.Fatalf("%s: %s: %v", file, f[0], err)
				}
				for _, literal := range []string{plain, f[3]} {
					if got, err := Unquote(literal); err != nil || got != value {
						t.Errorf("%s: Unquote(%s) = %q, %v, want %q", f[0], literal, got, err, value)
					}
				}
				if got := Literal(value); strings.HasPrefix(got, "'") && got != plain {
					t.Errorf("%s: Literal(%q) = %s, want %s", f[0], value, got, plain)
				}
			}
			if got, err := Unquote(Literal(value)); err != nil || got != value {
				t.Errorf("%s: %q comes back as %q, %v", f[0], value, got, err)
			}
			rows++
		}
		if rows == 0 {
			t.Errorf("%s is empty", file)
		}
	}
}

func TestLiteralAndIdentifier(t *testing.T) {
	tests := []struct{ value, literal, identifier string }{
		{"", "''", "``"},
		{"a'b`c", "'a''b`c'", "`a'b``c`"},
		{`a\b`, `'a\b'`, "`a\\b`"},
		{"a\tb\\\"", `U&'a\0009b\\"'`, `U&"a\0009b\\"""`},
		{"line\n--x;\n'", `U&'line\000a-\002dx;\000a'''`, `U&"line\000a-\002dx;\000a'"`},
		{`a---\b`, `U&'a-\002d\002d\\b'`, "`a---\\b`"},
		{"\x00\r\x7f\u0085\u2028\ufeff", `U&'\0000\000d\007f\0085\2028\feff'`, `U&"\0000\000d\007f\0085\2028\feff"`},
		{"中文😀 é", "'中文😀 é'", "`中文😀 é`"},
		{"${x} $y #", "'${x} $y #'", "`${x} $y #`"},
	}
	for _, tt := range tests {
		if got := Literal(tt.value); got != tt.literal {
			t.Errorf("Literal(%q) = %s, want %s", tt.value, got, tt.literal)
		}
		if got := Identifier(tt.value); got != tt.identifier {
			t.Errorf("Identifier(%q) = %s, want %s", tt.value, got, tt.identifier)
		}
		for _, quoted := range []string{tt.literal, tt.identifier} {
			if got, err := Unquote(quoted); err != nil || got != tt.value {
				t.Errorf("Unquote(%s) = %q, %v, want %q", quoted, got, err, tt.value)
			}
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"SELECT 1; SELECT 'a;b' -- c\n;", "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT CASE WHEN 1 THEN 2 END; END;", "SET a=b://c#d; RESET e;",
		"/***/ */ E'x\\'' U&\"a\" `b` a.b$c {fn", "\uFEFFSET 'a' = U&'\\0041' UESCAPE '!'", "_a.b.c'x' _x:y-z", "/*+ A('*/') */ 1.e5 .."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, src string) {
		for _, d := range []Dialect{DialectOf(flinkversion.Of(1, 20, 0)), DialectOf(flinkversion.Of(2, 2, 0))} {
			if tokens, err := Lex(src, d); err == nil {
				at := 0
				for _, tok := range tokens {
					if tok.Offset != at || tok.Text == "" || !strings.HasPrefix(src[at:], tok.Text) {
						t.Fatalf("token %+v at %d", tok, at)
					}
					at += len(tok.Text)
				}
				if at != len(src) {
					t.Fatalf("the tokens end at %d of %d", at, len(src))
				}
			}
			statements, err := Split(src, d)
			if err != nil {
				var e *Error
				if !errors.As(err, &e) || e.Line < 1 || e.Column < 1 || !utf8.ValidString(e.Message) {
					t.Fatalf("%#v", err)
				}
				continue
			}
			end := 0
			for _, s := range statements {
				if s.Text == "" || s.Offset < end || src[s.Offset:s.Offset+len(s.Text)] != s.Text {
					t.Fatalf("%+v after %d", s, end)
				}
				end = s.Offset + len(s.Text)
				again, err := Split(s.Text, d)
				if err != nil || len(again) != 1 || again[0].Text != s.Text || again[0].Kind != s.Kind {
					t.Fatalf("%q alone: %+v, %v", s.Text, again, err)
				}
				joined := ""
				for _, tok := range s.Tokens() {
					joined += tok.Text
				}
				if joined != s.Text {
					t.Fatalf("tokens make %q of %q", joined, s.Text)
				}
				if _, _, _, err := ParseSet(s); err != nil && s.Kind != Set {
					t.Fatal(err)
				}
				if _, _, err := ParseReset(s); err != nil && s.Kind != Reset {
					t.Fatal(err)
				}
				s.Inserts()
			}
		}
		if utf8.ValidString(src) {
			for _, quoted := range []string{Literal(src), Identifier(src)} {
				if got, err := Unquote(quoted); err != nil || got != src {
					t.Fatalf("%q comes back as %q, %v", src, got, err)
				}
				if src == "" {
					continue
				}
				if tokens, err := Lex(quoted, Dialect{}); err != nil || len(tokens) != 1 {
					t.Fatalf("%s is %d tokens, %v", quoted, len(tokens), err)
				}
			}
		}
	})
}

// BenchmarkSplit shows that time is linear in the script, for ordinary SQL and for what could make a look-ahead
// quadratic.
func BenchmarkSplit(b *testing.B) {
	shapes := []struct{ name, piece string }{
		{"sql", "INSERT INTO t1 /*+ OPTIONS('a'='b') */ SELECT a.b, `c d`, CASE WHEN x > 1.5 THEN 'it''s; fine' ELSE '中文' END FROM t; -- end\n"},
		{"statement", "a.b, 'c' + "},
		{"dots", "_a.b:c-"},
		{"set", "SET k=a=b=c://d;\n"},
		{"setRun", "SET k="},
		{"escapes", "'' "},
	}
	for _, shape := range shapes {
		for _, size := range []int{100_000, 1_000_000, 10_000_000} {
			src := strings.Repeat(shape.piece, size/len(shape.piece))
			b.Run(fmt.Sprintf("%s/%d", shape.name, size), func(b *testing.B) {
				b.SetBytes(int64(len(src)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Split(src, DialectOf(flinkversion.Of(2, 2, 0))); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// TestAt: each statement is found by its number, wherever in a long script.
func TestAt(t *testing.T) {
	script, err := Cut(strings.Repeat("SELECT 1;\nSET a = b;\n", 5000), DialectOf(flinkversion.Of(2, 2, 0)))
	if err != nil {
		t.Fatal(err)
	}
	for s := range script.All() {
		if got := script.At(s.Number); got != s {
			t.Fatalf("statement %d is %+v, want %+v", s.Number, got, s)
		}
	}
	if got := script.At(script.Len() + 1); got != (Statement{}) {
		t.Errorf("after the last statement is %+v", got)
	}
}
