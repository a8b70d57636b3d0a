package distribution

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
)

func noEnv(string) (string, bool) { return "", false }

func envOf(kv ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(kv); i += 2 {
			if kv[i] == name {
				return kv[i+1], true
			}
		}
		return "", false
	}
}

// tree makes files; a name that ends in a slash is a directory, "a->b" a symbolic link a to b.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		name, target, isLink := strings.Cut(name, "->")
		path := root + "/" + name
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		switch {
		case isLink:
			err = os.Symlink(target, path)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		default:
			err = os.WriteFile(path, nil, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestOpen(t *testing.T) {
	root := tree(t, "bin/", "lib/flink-dist-2.2.1.jar", "lib/b.jar", "lib/Z.jar", "lib/sub/a.jar", "lib/sub.jar", "lib/n.txt", "lib/UP.JAR",
		"lib/.hid.jar", "lib/dir.jar/in.jar", "lib/link.jar->/nowhere", "lib/linkdir->sub", "lib/é.jar", "link->.")
	h, err := Open(root+"/link", noEnv, "")
	if err != nil {
		t.Fatal(err)
	}
	if h.Dir != root || h.BinDir != root+"/bin" || h.ConfDir != root+"/conf" || h.LibDir != root+"/lib" || h.OptDir != root+"/opt" || h.PluginsDir != root+"/plugins" || h.LogDir != root+"/log" {
		t.Errorf("directories: %+v", h)
	}
	if h.Version.String() != "2.2.1" || h.Warning != "" {
		t.Errorf("version %s, warning %q", h.Version, h.Warning)
	}
	var got []string
	for _, jar := range h.Jars() {
		got = append(got, strings.TrimPrefix(jar, root+"/lib/"))
	}
	want := []string{".hid.jar", "Z.jar", "b.jar", "dir.jar/in.jar", "link.jar", "sub.jar", "sub/a.jar", "é.jar", "flink-dist-2.2.1.jar"}
	if !slices.Equal(got, want) {
		t.Errorf("jars\n got %q\nwant %q", got, want)
	}
}

func TestOpenPhysicalBin(t *testing.T) {
	root := tree(t, "real/bin/", "real/lib/flink-dist-1.20.5.jar", "home/bin->../real/bin")
	h, err := Open(root+"/home", noEnv, "")
	if err != nil || h.Dir != root+"/real" {
		t.Errorf("%+v, %v; want the parent of the physical bin", h, err)
	}
}

func TestOpenEnvironment(t *testing.T) {
	root := tree(t, "home/bin/", "jars/flink-dist-1.19.3.jar")
	h, err := Open(root+"/home", envOf("FLINK_LIB_DIR", root+"/jars/", "FLINK_OPT_DIR", "/o", "FLINK_PLUGINS_DIR", ""), "")
	if err != nil {
		t.Fatal(err)
	}
	if h.LibDir != root+"/jars/" || h.OptDir != "/o" || h.PluginsDir != root+"/home/plugins" {
		t.Errorf("%+v", h)
	}
	if jars := h.Jars(); !slices.Equal(jars, []string{root + "/jars/flink-dist-1.19.3.jar"}) {
		t.Errorf("jars %q", jars)
	}
}

func TestOpenVersion(t *testing.T) {
	for _, test := range []struct{ dist, given, want, warning, fails string }{
		{"flink-dist_2.12-1.13.6.jar", "", "1.13.6", "", ""},
		{"flink-dist_2.11-1.14.6.jar", "", "1.14.6", "", ""},
		{"flink-dist-2.3-SNAPSHOT.jar", "", "2.3.0", "", ""},
		{"flink-dist-2.2.1-vendor-7.jar", "", "2.2.1", "", ""},
		{"flink-dist-3.0.0.jar", "", "3.0.0", "newer than " + flinkversion.Newest().String() + ",", ""},
		{"flink-dist-2.100.0.jar", "", "2.100.0", "newer than " + flinkversion.Newest().String() + ",", ""},
		{"flink-dist-1.12.7.jar", "", "", "", "not supported"},
		{"flink-dist.jar", "", "", "", "cannot tell Flink's version"},
		{"flink-dist-x.jar", "", "", "", `Flink version "x"`},
		{"flink-dist.jar", "1.18.1", "1.18.1", "", ""},
		{"flink-dist-2.2.1.jar", "nonsense", "", "", `Flink version "nonsense"`},
	} {
		h, err := Open(tree(t, "bin/", "lib/"+test.dist), noEnv, test.given)
		if test.fails != "" {
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(e.Message, test.fails) || e.Hint == "" {
				t.Errorf("%s: %v, want %s with a hint", test.dist, err, test.fails)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.dist, err)
			continue
		}
		if h.Version.String() != test.want || (test.warning == "") != (h.Warning == "") || !strings.Contains(h.Warning, test.warning) {
			t.Errorf("%s: %s, warning %q", test.dist, h.Version, h.Warning)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	for _, test := range []struct {
		name  string
		tree  []string
		home  string
		fails string
		hint  string
	}{
		{"no dist", []string{"bin/", "lib/a.jar"}, "", "Flink distribution jar not found in", "FLINK_HOME"},
		{"two", []string{"bin/", "lib/flink-dist-2.2.1.jar", "lib/x/flink-dist-9.9.jar"}, "", "Multiple flink-dist*.jar found in", "exactly one"},
		{"lib is a link", []string{"bin/", "real/flink-dist-2.2.1.jar", "lib->real"}, "", "Flink distribution jar not found in", "symbolic link"},
		{"no lib", []string{"bin/"}, "", "cannot read the lib directory", "FLINK_LIB_DIR"},
		{"no home", nil, "/absent", "no such file", "FLINK_HOME"},
	} {
		_, err := Open(tree(t, test.tree...)+test.home, noEnv, "")
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(e.Error(), test.fails) || !strings.Contains(e.Hint, test.hint) {
			t.Errorf("%s: %v (hint %v), want %q with hint %q", test.name, err, e, test.fails, test.hint)
		}
	}
	if _, err := Open("", noEnv, ""); err == nil {
		t.Error("empty home: no error")
	}
}

func TestScriptValue(t *testing.T) {
	file := []byte("# env.log.max: 1\nenv.log.max: 2 # two\n  env.log.max : 3  \nenv.log.max:4\n\tenv.log.max: 5\nenv.log.maxx: 6\nenv.log.dir: '/a b'#x\nenvxpid-dir: /p\ncolon: a: b\nempty:  \nlast: 1\nlast: #\n")
	for key, want := range map[string]string{"env.log.max": "3", "env.log.dir": "'/a b'", "env.pid.dir": "/p", "colon": "a: b", "empty": "", "absent": "", "last": ""} {
		if got := ScriptValue(file, key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

func TestFlatValue(t *testing.T) {
	lines := []string{"env.log.max: 2", "  env.log.max :3 ", "env.log.maxx: 4", "url: http://a:80/#x", "env.java.opts.all: -Da=b", "env.java.opts: '-Dc=d'", "block: |\n  url: x\n"}
	for key, want := range map[string]string{"env.log.max": "3", "url": "http://a:80/#x", "env.java.opts": "'-Dc=d'", "block": "|", "absent": ""} {
		if got := FlatValue(lines, key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

func TestOptFiles(t *testing.T) {
	root := tree(t, "bin/", "lib/flink-dist-2.2.1.jar", "opt/flink-python-2.jar", "opt/a/flink-python_jar", "opt/flink-pythonjar", "opt/flink-python.txt", "opt/flink-python-d.jar/x.jar", "opt/x.jar")
	h, err := Open(root, noEnv, "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := h.OptFiles("flink-python")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/opt/a/flink-python_jar", "/opt/flink-python-2.jar", "/opt/flink-python-d.jar", "/opt/flink-python-d.jar/x.jar"}
	for i := range got {
		got[i] = strings.TrimPrefix(got[i], root)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	h.OptDir = root + "/none"
	if got, err := h.OptFiles("flink-python"); len(got) > 0 || err != nil {
		t.Errorf("without the directory: %q, %v", got, err)
	}
}
