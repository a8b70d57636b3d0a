//go:build deploy || container

package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// page reads the fenced blocks of docs/kubernetes.md in a language.
func page(t *testing.T, language string) (text string, blocks []string) {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(root, "docs", "kubernetes.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(src), -1) {
		blocks = append(blocks, m[1])
	}
	return string(src), blocks
}
