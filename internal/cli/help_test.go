package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"flink-entrypoint/internal/boot"
)

// TestHelpFitsAScreen: a user who asks for help sees all of it at once.
func TestHelpFitsAScreen(t *testing.T) {
	const lines, columns = 38, 100
	topics := append(strings.Split(boot.RoleNames(), ", "), "", "flags")
	for _, c := range commands() {
		topics = append(topics, c.name)
	}
	for _, topic := range topics {
		t.Run(topic, func(t *testing.T) {
			var out bytes.Buffer
			p := &program{System: System{Stdout: &out}}
			if err := p.help(context.Background(), strings.Fields(topic)); err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(out.String(), "\n"); n > lines || n < 4 {
				t.Errorf("%d lines, expected 4 to %d", n, lines)
			}
			for line := range strings.Lines(out.String()) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > columns {
					t.Errorf("%d columns, at most %d fit: %s", n, columns, line)
				}
			}
			if topic != "" && topic != "flags" && !strings.Contains(out.String(), "[FLAGS] "+topic) {
				t.Errorf("says nothing about %s:\n%s", topic, out.String())
			}
		})
	}
}
