package fetch

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestBar(t *testing.T) {
	var out strings.Builder
	clock := time.Unix(0, 0)
	b := &bar{w: &out, now: func() time.Time { return clock }}
	last := func() string {
		_, text, _ := strings.Cut(out.String()[strings.LastIndex(out.String(), "\r"):], "\x1b[K")
		return text
	}
	b.Begin(2)
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"nothing yet", func() { b.Started(0, "http://x/udf.jar", "/run/usrlib/udf.jar") }, "artifacts 0/2 [            ] 0 B of 0 B, 0 B/s udf.jar"},
		{"half of a known size", func() { clock = clock.Add(2 * time.Second); b.Received(0, 1_500_000, 3_000_000) }, "artifacts 0/2 [======      ] 1.5 MB of 3.0 MB, 750 kB/s udf.jar"},
		{"too soon to draw", func() { b.Received(0, 500_000, 3_000_000) }, "artifacts 0/2 [======      ] 1.5 MB of 3.0 MB, 750 kB/s udf.jar"},
		{"started over, size unknown", func() { clock = clock.Add(time.Second); b.Received(0, -2_000_000, -1) }, "artifacts 0/2 [            ] 0 B of 0 B, 0 B/s udf.jar"},
		{"one failed", func() { b.Finished(1, Result{}, errors.New("gone")) }, "artifacts 0/2 [            ] 0 B of 0 B, 0 B/s udf.jar"},
		{"one is there", func() {
			b.Finished(0, Result{Path: "/run/usrlib/\x1b[2Ja-name-that-is-far-too-long-for-a-line.jar", Size: 999_600}, nil)
		},
			"artifacts 1/2 [============] 1.0 MB of 1.0 MB, 333 kB/s ?[2Ja-name-that-is-…"},
		{"the end", b.End, "artifacts 1/2 [============] 1.0 MB of 1.0 MB, 333 kB/s \n"},
	} {
		step.do()
		if got := last(); got != step.want {
			t.Errorf("%s: %q, want %q", step.name, got, step.want)
		}
		if n := len([]rune(last())); n > 80 {
			t.Errorf("%s: %d columns", step.name, n)
		}
	}
}

func TestShortBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 9_949: "9.9 kB", 9_951: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB", 1 << 62: "4.6 EB"} {
		if got := shortBytes(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
