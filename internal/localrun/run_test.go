package localrun

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/redact"
)

// TestTheKeptLogHoldsNoSecrets: the log of a failed debug run was kept as Flink wrote it.
func TestTheKeptLogHoldsNoSecrets(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	r := new(redact.Redactor)
	r.Add("hunter2horse", "line one of a key\nline two of a key")
	log := filepath.Join(t.TempDir(), "flink.log")
	text := "options: 'password'='hunter2horse', 'url'='jdbc:mysql://u:p4ssw0rd@db/x?user=u&password=p4ssw0rd&ssl=true'\nline one of a key\nline two of a key\n"
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l := &Local{Engine: Engine{Log: log}, run: boot.New(boot.Explain, role, boot.Options{}, boot.World{Redactor: r})}
	hint := l.keepLog("java.lang.Exception: hunter2horse\n\tat a.B.c(B.java:1)\n")
	kept, err := os.ReadFile(hint[strings.LastIndexByte(hint, ' ')+1:])
	want := "options: 'password'='******', 'url'='jdbc:mysql://******@db/x?user=u&password=******&ssl=true'\n******\n******\njava.lang.Exception: ******\n\tat a.B.c(B.java:1)\n"
	if err != nil || string(kept) != want {
		t.Errorf("%v, the kept log is\n%s, want\n%s", err, kept, want)
	}
	if st, err := os.Stat(hint[strings.LastIndexByte(hint, ' ')+1:]); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, its mode is %v, want 0600", err, st.Mode())
	}
}
