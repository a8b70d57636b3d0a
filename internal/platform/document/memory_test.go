package document

import (
	"strings"
	"testing"

	"flink-entrypoint/internal/jobdef"
)

func TestSizesOf(t *testing.T) {
	for name, c := range map[string]struct {
		document, want string
		sized          bool
		notes          int
	}{
		"a script alone": {`{"apiVersion":"flink-entrypoint/v1","name":"a","sql":{"script":"SELECT 1"}}`, `{"apiVersion":"flink-entrypoint/v1","name":"memory"}`, false, 0},
		"sizes": {"apiVersion: flink-entrypoint/v1\nname: a\nflinkVersion: '2.2'\nresources:\n  jobManager: {memory: 1600m}\n  taskManager: {memory: 2Gi, slots: 2}\n",
			`{"apiVersion":"flink-entrypoint/v1","name":"memory","flinkVersion":"2.2","resources":{"jobManager":{"memory":"1600m"},"taskManager":{"memory":"2Gi","slots":"2"}}}`, true, 0},
		"only keys of the memory model": {"apiVersion: flink-entrypoint/v1\nname: a\nconfiguration:\n  env.java.home: /tmp/evil\n  taskmanager.memory.process.size: 2g\n  s3.secret-key: {fromEnv: S3}\n  taskmanager.memory.managed.size: {fromFile: /etc/shadow}\n",
			`{"apiVersion":"flink-entrypoint/v1","name":"memory","configuration":{"taskmanager.memory.process.size":"2g"}}`, false, 1},
		"no file, no artifact, no high availability": {"apiVersion: flink-entrypoint/v1\nname: a\nartifacts: [{uri: 'file:/etc/passwd', to: run}]\nsql: {scriptUri: /etc/shadow}\n",
			`{"apiVersion":"flink-entrypoint/v1","name":"memory"}`, false, 0},
	} {
		got, err := SizesOf([]byte(c.document))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.TrimSpace(string(got.Definition)) != c.want || got.Sized != c.sized || len(got.Notes) != c.notes {
			t.Errorf("%s: %s sized %t %q, want %s", name, got.Definition, got.Sized, got.Notes, c.want)
		}
		if _, err := jobdef.Decode("written", got.Definition); err != nil {
			t.Errorf("%s: what was written is not a definition: %v", name, err)
		}
	}
	if _, err := SizesOf([]byte("name: [")); err == nil {
		t.Error("no error")
	}
}
