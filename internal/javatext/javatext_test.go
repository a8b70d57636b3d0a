package javatext_test

import (
	"bufio"
	"compress/gzip"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"flink-entrypoint/internal/javatext"
)

func TestTrim(t *testing.T) {
	for in, want := range map[string]string{"": "", " \t\x00a b\x1f\r\n": "a b", "\u00a0a\u3000": "\u00a0a\u3000", " \x01 ": "", "\x7fa": "\x7fa"} {
		if got := javatext.Trim(in); got != want {
			t.Errorf("Trim(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestIsWhitespace(t *testing.T) {
	for _, r := range " \t\n\v\f\r\x1c\x1f\u1680\u2000\u2028\u205f\u3000" {
		if !javatext.IsWhitespace(r) {
			t.Errorf("%U is white space", r)
		}
	}
	for _, r := range "\x00\x1b\u0085\u00a0\u180e\u2007\u200b\u202f\ufeffa" {
		if javatext.IsWhitespace(r) {
			t.Errorf("%U is not white space", r)
		}
	}
}

func TestToLower(t *testing.T) {
	for in, want := range map[string]string{"ABC": "abc", "İI": "i̇i", "ΑΣ": "ας", "ΑΣΑ": "ασα", "Σ": "σ", "Α.Σ": "α.ς", "GB": "gb"} {
		if got := javatext.ToLower(in); got != want {
			t.Errorf("ToLower(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestDouble(t *testing.T) {
	for _, row := range []struct {
		d       float64
		until18 string
		since19 string
	}{
		{d: 0, until18: "0.0", since19: "0.0"},
		{d: math.Copysign(0, -1), until18: "-0.0", since19: "-0.0"},
		{d: 1, until18: "1.0", since19: "1.0"},
		{d: 0.1, until18: "0.1", since19: "0.1"},
		{d: float64(float32(0.4)), until18: "0.4000000059604645", since19: "0.4000000059604645"},
		{d: 1e-3, until18: "0.001", since19: "0.001"},
		{d: 9.999e-4, until18: "9.999E-4", since19: "9.999E-4"},
		{d: 1e7, until18: "1.0E7", since19: "1.0E7"},
		{d: 9999999.5, until18: "9999999.5", since19: "9999999.5"},
		{d: math.NaN(), until18: "NaN", since19: "NaN"},
		{d: math.Inf(1), until18: "Infinity", since19: "Infinity"},
		{d: math.Inf(-1), until18: "-Infinity", since19: "-Infinity"},
		{d: math.SmallestNonzeroFloat64, until18: "4.9E-324", since19: "4.9E-324"},
		{d: math.MaxFloat64, until18: "1.7976931348623157E308", since19: "1.7976931348623157E308"},
		{d: 2e23, until18: "1.9999999999999998E23", since19: "2.0E23"}, // JDK-4511638
		{d: 0x1p-44, until18: "5.6843418860808015E-14", since19: "5.684341886080802E-14"},
		{d: 7.7951e20, until18: "7.795100000000001E20", since19: "7.7951E20"},
	} {
		for java, want := range map[int]string{8: row.until18, 17: row.until18, 18: row.until18, 19: row.since19, 21: row.since19, 0: row.since19} {
			if got := javatext.Double(row.d, java); got != want {
				t.Errorf("Double(%g, %d) = %q, want %q", row.d, java, got, want)
			}
		}
	}
}

// TestRecordedNumbers reads what Java 17 and 25 printed; testdata/README.md says how.
func TestRecordedNumbers(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt.gz")
	if err != nil || len(files) != 5 {
		t.Fatalf("found %d files, want 5: %v", len(files), err)
	}
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		text, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		kind, version, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".txt.gz"), "-")
		java, _ := strconv.Atoi(version)
		if n := compare(t, kind, java, text); n < 400 {
			t.Errorf("%s holds %d lines, expected 400 or more", path, n)
		}
	}
}

// compare reads the lines of JavaText.java and returns how many there were.
func compare(t *testing.T, kind string, java int, lines io.Reader) int {
	t.Helper()
	n, bad := 0, 0
	in := bufio.NewScanner(lines)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		n++
		given, want, _ := strings.Cut(in.Text(), " ")
		var got string
		switch kind {
		case "double":
			bits, err := strconv.ParseUint(given, 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			got = javatext.Double(math.Float64frombits(bits), java)
		case "float":
			bits, err := strconv.ParseUint(given, 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			got = javatext.Float(math.Float32frombits(uint32(bits)), java)
		case "space":
			r, err := strconv.ParseInt(given, 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			got = strconv.FormatBool(javatext.IsWhitespace(rune(r)))
		case "map":
			capacity, err := strconv.Atoi(given)
			if err != nil {
				t.Fatal(err)
			}
			var keys string
			keys, want, _ = strings.Cut(want, " ")
			got = strings.Join(javatext.HashMapOrder(strings.Split(keys, ","), capacity), ",")
		}
		if got != want {
			if bad++; bad <= 10 {
				t.Errorf("Java %d, %s %s: got %s, want %s", java, kind, given, got, want)
			}
		}
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	if bad > 10 {
		t.Errorf("Java %d, %s: %d of %d differ", java, kind, bad, n)
	}
	return n
}
