package web

import (
	"math"
	"regexp"
	"strconv"
	"testing"
)

// contrast is what WCAG 2 calls so: from 1 to 21.
func contrast(a, b string) float64 {
	light := func(c string) float64 {
		var sum float64
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			n, _ := strconv.ParseUint(c[1+2*i:3+2*i], 16, 8)
			v := float64(n) / 255
			if v <= 0.04045 {
				v /= 12.92
			} else {
				v = math.Pow((v+0.055)/1.055, 2.4)
			}
			sum += weight * v
		}
		return sum
	}
	x, y := light(a), light(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// TestContrast: each text has a contrast of 4.5 with what is below it (WCAG 2, AA), and what only marks a place one of 3, in both themes.
func TestContrast(t *testing.T) {
	css, err := files.ReadFile("assets/site.css")
	if err != nil {
		t.Fatal(err)
	}
	colours := map[string][2]string{}
	for _, m := range regexp.MustCompile(`--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)`).FindAllStringSubmatch(string(css), -1) {
		colours[m[1]] = [2]string{m[2], m[3]}
	}
	type pair struct {
		above, below string
		least        float64
	}
	var pairs []pair
	for _, below := range []string{"bg", "panel", "raised", "code-bg"} {
		for _, above := range []string{"text", "muted", "accent", "accent-strong", "ok", "warn", "bad", "info"} {
			pairs = append(pairs, pair{above, below, 4.5})
		}
		pairs = append(pairs, pair{"focus", below, 3}, pair{"line-strong", below, 3})
	}
	for _, kind := range []string{"ok", "warn", "bad", "info", "idle", "accent"} {
		pairs = append(pairs, pair{kind, kind + "-soft", 4.5}, pair{"text", kind + "-soft", 4.5}, pair{"muted", kind + "-soft", 4.5})
	}
	for _, above := range []string{"code-keyword", "code-string", "code-number", "code-comment", "code-name", "code-type"} {
		pairs = append(pairs, pair{above, "code-bg", 4.5}, pair{above, "ok-soft", 4.5}, pair{above, "bad-soft", 4.5})
	}
	pairs = append(pairs, pair{"on-accent", "accent", 4.5}, pair{"on-accent", "accent-strong", 4.5})
	for _, p := range pairs {
		above, below := colours[p.above], colours[p.below]
		if above[0] == "" || below[0] == "" {
			t.Errorf("site.css has no colours %s and %s", p.above, p.below)
			continue
		}
		for i, theme := range []string{"light", "dark"} {
			if c := contrast(above[i], below[i]); c < p.least {
				t.Errorf("%s: %s (%s) on %s (%s) has a contrast of %.2f, want %.1f", theme, p.above, above[i], p.below, below[i], c, p.least)
			}
		}
	}
}
