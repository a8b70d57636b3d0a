package nearest

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	known := []string{"taskManager", "jobManager", "memory", "memories", ""}
	for _, test := range []struct {
		name  string
		edits int
		want  string
	}{
		{"taskManager", 0, "taskManager"},
		{"task-manager", 0, "taskManager"}, // case and separators do not count
		{"TASK_MANAGER", 0, "taskManager"},
		{"taskMangaer", 1, "taskManager"}, // a swap is one edit
		{"memry", 1, "memory"},
		{"memoryy", 1, "memory"},
		{"mamory", 0, ""},
		{"memori", 2, "memory"}, // of two that are as near, the first
		{"x", 1, ""},            // one edit makes it the empty name
		{"checkpoint", 3, ""},
		{strings.Repeat("m", 65), 100, ""},
	} {
		if got := Name(test.name, known, test.edits); got != test.want {
			t.Errorf("Name(%q, %d) = %q, want %q", test.name, test.edits, got, test.want)
		}
	}
	if got := Name("a", nil, 3); got != "" {
		t.Errorf("found %q among no names", got)
	}
}
