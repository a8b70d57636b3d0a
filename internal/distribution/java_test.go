package distribution

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
)

func TestFindJava(t *testing.T) {
	root := tree(t, "a/bin/java", "b/bin/java", "empty/", "path/java->../b/bin/java", "plain/bin/")
	if err := os.WriteFile(root+"/plain/bin/java", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for home, release := range map[string]string{"a": "IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"21.0.4\"\n", "b": "JAVA_VERSION=\"1.8.0_362\"\n"} {
		if err := os.WriteFile(root+"/"+home+"/release", []byte(release), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name, conf, home, path string
		want                   Java
		fails                  string
	}{
		{"configuration first", root + "/a", root + "/b", "", Java{root + "/a/bin/java", root + "/a/bin/java", root + "/a", 21, "21.0.4", root + "/a"}, ""},
		{"JAVA_HOME", "", root + "/b", root + "/path", Java{root + "/b/bin/java", root + "/b/bin/java", root + "/b", 8, "1.8.0_362", root + "/b"}, ""},
		{"PATH, through a link", "", "", "/nowhere:" + root + "/path", Java{"java", root + "/path/java", "", 8, "1.8.0_362", root + "/b"}, ""},
		{"JAVA_HOME is not a directory", "", "/nowhere", root + "/path", Java{"java", root + "/path/java", "/nowhere", 8, "1.8.0_362", root + "/b"}, ""},
		{"nothing", "", "", "/nowhere", Java{}, "no Java found"},
		{"JAVA_HOME is not a directory, no PATH", "", "/nowhere", "", Java{}, "JAVA_HOME is /nowhere, which is not a directory"},
		{"no java inside", root + "/empty", "", "", Java{}, "env.java.home is " + root + "/empty"},
		{"java not executable", "", root + "/plain", "", Java{}, "cannot be executed"},
	} {
		got, err := FindJava(test.conf, envOf("JAVA_HOME", test.home, "PATH", test.path))
		if test.fails != "" {
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(e.Message, test.fails) || e.Hint == "" {
				t.Errorf("%s: %v, want %q with a hint", test.name, err, test.fails)
			}
			continue
		}
		if err != nil || got != test.want {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", test.name, got, err, test.want)
		}
	}
}

func TestReleaseOfJRE(t *testing.T) {
	root := tree(t, "jdk8/jre/bin/java", "none/bin/java")
	if err := os.WriteFile(root+"/jdk8/release", []byte("JAVA_VERSION=\"1.8.0_392\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if java, err := FindJava(root+"/jdk8/jre", noEnv); err != nil || java.Spec != 8 {
		t.Errorf("%+v, %v", java, err)
	}
	if java, err := FindJava(root+"/none", noEnv); err != nil || java.Spec != 0 || java.Version != "" {
		t.Errorf("without a release file: %+v, %v", java, err)
	}
}

func TestSpec(t *testing.T) {
	for version, want := range map[string]int{"1.8.0_392": 8, "11.0.16.1": 11, "17": 17, "25-ea": 25, "21+35": 21, "": 0, "x": 0} {
		if got := specOf(version); got != want {
			t.Errorf("%q: %d, want %d", version, got, want)
		}
	}
}

func TestSupports(t *testing.T) {
	for _, test := range []struct {
		flink string
		spec  int
		want  string
		old   bool
	}{
		{"1.13.6", 8, "", false}, {"1.13.6", 11, "", false}, {"1.17.2", 17, "not supported by Flink 1.17, which runs on Java 8, 11", false},
		{"1.18.1", 17, "", false}, {"1.18.1", 21, "not supported", false}, {"1.20.5", 21, "", false}, {"1.20.5", 25, "not supported", false},
		{"2.0.2", 8, "too old for Flink 2.0, which needs Java 11, 17, 21", true}, {"2.2.1", 11, "", false}, {"2.3.0", 21, "", false}, {"2.3.0", 25, "not supported", false},
		{"2.2.1", 0, "is not known", false}, {"9.9.0", 17, "", false},
	} {
		v, err := flinkversion.Parse(test.flink)
		if err != nil {
			t.Fatal(err)
		}
		got := Supports(v, test.spec)
		if (test.want == "") != (got == "") || !strings.Contains(got, test.want) || TooOld(v, test.spec) != test.old {
			t.Errorf("Flink %s on Java %d: %q, too old %v", test.flink, test.spec, got, TooOld(v, test.spec))
		}
	}
}

func TestSeesCgroupV2(t *testing.T) {
	for version, want := range map[string]bool{
		"1.8.0_362": false, "1.8.0_372": true, "1.8.0_392-b08": true, "11.0.15": false, "11.0.16": true, "11.0.16.1": true, "11": false, "14.0.2": false, "15": true, "17.0.1": true, "": true,
	} {
		if got := (Java{Spec: specOf(version), Version: version}).SeesCgroupV2(); got != want {
			t.Errorf("%q: %v, want %v", version, got, want)
		}
	}
}

func TestLookPath(t *testing.T) {
	root := tree(t, "dir/x", "noexec/", "isdir/x/")
	if err := os.WriteFile(root+"/noexec/x", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, path, want string
		fails            error
	}{
		{"x", root + "/isdir:" + root + "/noexec:" + root + "/dir", root + "/dir/x", nil},
		{"x", root + "/isdir:" + root + "/noexec", "", ErrNotExecutable},
		{"x", root + "/isdir", "", fs.ErrNotExist},
		{"x", "", "", fs.ErrNotExist},
		{root + "/dir/x", "", root + "/dir/x", nil},
		{root + "/isdir/x", "", "", ErrNotExecutable},
	} {
		got, err := LookPath(test.name, test.path)
		if !errors.Is(err, test.fails) || err == nil && got != test.want {
			t.Errorf("%s in %s: %s, %v", test.name, test.path, got, err)
		}
	}
}
