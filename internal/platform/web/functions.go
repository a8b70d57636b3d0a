package web

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"flink-entrypoint/internal/platform/wire"
)

// functions are what templates can call.
func (s *Site) functions() template.FuncMap {
	return template.FuncMap{
		"asset":    s.assets.url,
		"ago":      func(t any) template.HTML { return agoHTML(timeOf(t), time.Now()) },
		"span":     func(from, to any) string { return span(timeOf(from), timeOf(to), time.Now()) },
		"duration": duration,
		"bytes":    byteSize,
		"number":   number,
		"rate":     rate,
		"plural":   plural,
		"plain":    plain,
		"title":    func(p *wire.Problem) string { return titleOf(*p) },
		"sentence": func(text string) string { return sentence(plain(text)) },
		"short":    short,
		"next":     func(n int) int { return n + 1 },
		"badge":    badgeOf,
		"empty":    func(title, next string) emptyState { return emptyState{title, next} },
	}
}

// An emptyState is a place where something will be.
type emptyState struct{ Title, Next string }

// timeOf is a time.Time or *time.Time; nil is the zero time.
func timeOf(t any) time.Time {
	switch t := t.(type) {
	case time.Time:
		return t
	case *time.Time:
		if t != nil {
			return *t
		}
	}
	return time.Time{}
}

// agoHTML is a time as people say it, with the exact time. A script keeps it right.
func agoHTML(t, now time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s" data-ago>%s</time>`, t.Format("2006-01-02T15:04:05.000Z"), t.Format("2006-01-02 15:04:05 UTC"), ago(t, now)))
}

// ago is how long ago a time is. live.js has the same rule.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	future := d < 0
	if future {
		d = -d
	}
	text := ""
	switch {
	case d < 5*time.Second:
		return "just now"
	case d < time.Minute:
		text = fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		text = fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		text = fmt.Sprintf("%d h", int(d.Hours()))
	default:
		text = fmt.Sprintf("%d days", int(d.Hours())/24)
	}
	if future {
		return "in " + text
	}
	return text + " ago"
}

// span is the time between two times; to zero: until now.
func span(from, to, now time.Time) string {
	if from.IsZero() {
		return "–"
	}
	if to.IsZero() {
		to = now
	}
	return length(to.Sub(from))
}

// duration is a length of time: a time.Duration, or seconds.
func duration(d any) (string, error) {
	switch d := d.(type) {
	case time.Duration:
		return length(d), nil
	case float64:
		return length(time.Duration(d * float64(time.Second))), nil
	case int:
		return length(time.Duration(d) * time.Second), nil
	}
	return "", fmt.Errorf("internal error (a bug): %T is not a duration", d)
}

func length(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Second && d > 0:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days %d h", int(d.Hours())/24, int(d.Hours())%24)
}

// byteSize is a number of bytes in units of 1024.
func byteSize(n any) string {
	b, _ := strconv.ParseFloat(fmt.Sprint(n), 64)
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if b < 1024 {
			if unit == "B" || b >= 100 {
				return fmt.Sprintf("%.0f %s", b, unit)
			}
			return fmt.Sprintf("%.1f %s", b, unit)
		}
		b /= 1024
	}
	return fmt.Sprintf("%.1f TiB", b)
}

// number is a whole number with thin spaces between its thousands.
func number(n any) string {
	text := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return sign + text
}

// rate is events a second.
func rate(perSecond float64) string {
	switch {
	case perSecond == 0:
		return "0"
	case perSecond < 0.1:
		return "< 0.1"
	case perSecond < 10:
		return fmt.Sprintf("%.1f", perSecond)
	}
	return fmt.Sprintf("%.0f", perSecond)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return number(n) + " " + one
	}
	return number(n) + " " + many
}

// plain makes visible what a terminal or browser would act on instead of showing it: control characters and those that change the direction
// of text. Line breaks and tabs stay.
func plain(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t':
			return c
		case c < ' ':
			return '\u2400' + c // the picture of the control character
		case c == 0x7f:
			return '\u2421'
		case c >= 0x80 && c < 0xa0, unicode.Is(unicode.Cf, c), c == '\u2028', c == '\u2029':
			return '\ufffd'
		}
		return c
	}, strings.ReplaceAll(text, "\r\n", "\n"))
}

// sentence begins with a capital letter.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if size == 0 {
		return text
	}
	return string(unicode.ToUpper(first)) + text[size:]
}

// short is the beginning of an id or digest.
func short(id string) string { return id[:min(len(id), 8)] }

// A badge is a state in a colour and, always, in words.
type badge struct {
	Kind string // ok, warn, bad, info, idle
	Text string
	Note string // the condition
}

// badgeOf says how a run is.
func badgeOf(r *wire.Run) badge {
	if r == nil {
		return badge{Kind: "idle", Text: "never started"}
	}
	switch r.Outcome {
	case "failed":
		return badge{Kind: "bad", Text: "failed"}
	case "finished":
		return badge{Kind: "ok", Text: "finished"}
	case "canceled", "stopped":
		return badge{Kind: "idle", Text: r.Outcome}
	}
	b := badge{Kind: "info", Text: queueNames[r.Queue], Note: r.Condition}
	if b.Text == "" {
		b.Text = r.Queue
	}
	switch {
	case r.Queue == "running" && r.Condition == "":
		b.Kind = "ok"
	case r.Condition == "lost":
		b.Kind = "bad"
	case r.Condition == "parked" || r.Condition == "restarting":
		b.Kind = "warn"
	case r.Queue == "cancel" && r.Desired == "cancel":
		b.Text = "canceling"
	case r.Queue == "accept" && r.Condition == "starting":
		b.Note = ""
	}
	return b
}

// queueNames are what people read for the queue of a run that has not ended.
var queueNames = map[string]string{"accept": "starting", "running": "running", "cancel": "stopping", "failed": "failed", "finish": "finished"}
