package cgroup

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseCPUs(t *testing.T) {
	for _, c := range []struct {
		text string
		want cpuList
		ok   bool
	}{
		{"", cpuList{0, true}, true},
		{"0", cpuList{1, true}, true},
		{"7", cpuList{1, false}, true},
		{"0-3", cpuList{4, true}, true},
		{"0-1,2,3-5", cpuList{6, true}, true},
		{"0-3,7,9-11", cpuList{8, false}, true},
		{"0-2147483647", cpuList{1 << 31, true}, true},
		{"0-2147483648", cpuList{}, false},
		{"3-1", cpuList{}, false},
		{"0,0", cpuList{}, false},
		{"0-3,2", cpuList{}, false},
		{"0,", cpuList{}, false},
		{"-1", cpuList{}, false},
		{"0-", cpuList{}, false},
		{"0-1-2", cpuList{}, false},
		{"a", cpuList{}, false},
		{"0 1", cpuList{}, false},
		{"+1", cpuList{}, false},
	} {
		if got, ok := parseCPUs(c.text); ok != c.ok || ok && got != c.want {
			t.Errorf("%q: %+v %v, want %+v %v", c.text, got, ok, c.want, c.ok)
		}
	}
}

func TestParseQuota(t *testing.T) {
	for text, want := range map[string]float64{
		"max": 0, "max 100000": 0, "150000 100000": 1.5, "1000 1000000": 0.001, "50000": 0.5,
		"": -1, "max max": -1, "0 100000": -1, "-1": -1, "1 0": -1, "1 2 3": -1, "1.5 2": -1, "100000 max": -1,
	} {
		if got, ok := parseQuota(text); ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %v %v, want %v", text, got, ok, want)
		}
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		`/a`: "/a", `/a\040b`: "/a b", `/a\134x2d`: `/a\x2d`, `/tab\011nl\012`: "/tab\tnl\n", `\303\244`: "ä",
		`/a\04`: `/a\04`, `/a\`: `/a\`, `/a\999`: `/a\999`, `/\777`: `/\777`, `/\134040`: `/\040`,
	} {
		if got := unescape(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestPaths(t *testing.T) {
	for at, want := range map[string]string{
		"/a/b": "/a", "/a": "/", "/": "/..", "/..": "/../..", "/../a": "/..", "/../../a/b": "/../../a", "/a/": "/", "/..a": "/",
	} {
		if got := parent(at); got != want {
			t.Errorf("parent of %q is %q, want %q", at, got, want)
		}
	}
	for _, c := range []struct {
		at, root, rest string
		ok             bool
	}{
		{"/a/b", "/", "/a/b", true},
		{"/", "/", "/", true},
		{"/a/b", "/a", "/b", true},
		{"/a/b", "/a/b", "", true},
		{"/ab", "/a", "", false},
		{"/", "/a", "", false},
		{"/..", "/", "", false},
		{"/../a", "/", "", false},
		{"/../a", "/..", "/a", true},
		{"/..", "/..", "", true},
		{"/../..", "/..", "", false},
		{"/../../a", "/..", "", false},
	} {
		rest, ok := below(c.at, c.root)
		if ok != c.ok || ok && rest != c.rest {
			t.Errorf("%q below %q: %q %v", c.at, c.root, rest, ok)
		}
	}
}

// FuzzParsers: no input makes a parser fail in another way than by saying so, and what comes out is sane.
func FuzzParsers(f *testing.F) {
	for _, seed := range []string{
		"max", "-1", "9223372036854771712", "150000 100000", "0-3,7", "hierarchical_memory_limit 5",
		"4:cpu,cpuacct:/a:b", "0::/../x", `30 24 0:26 /my\040slice /sys/fs/cgroup ro shared:9 - cgroup2 cgroup rw`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, ok := parseBytes(text, "max"); ok && (n < 0 || n > unlimited) {
			t.Errorf("bytes %d", n)
		}
		if n, ok := parseHierarchical(text); ok && (n < -1 || n > unlimited) {
			t.Errorf("hierarchical %d", n)
		}
		if cores, ok := parseQuota(text); ok && cores < 0 {
			t.Errorf("cores %v", cores)
		}
		if set, ok := parseCPUs(text); ok && (set.count < 0 || set.count == 0 && text != "") {
			t.Errorf("CPUs %+v", set)
		}
		if m, ok := parseMount(text); ok && len(m.root)+len(m.point)+len(m.options) > len(text) {
			t.Errorf("mount %+v", m)
		}
		if m, ok := parseMember(text); ok {
			steps := 0
			for at := m.path; levelsAbove(at) < 2; at = parent(at) { // the way up ends
				if rest, ok := below(at, "/"); ok && !strings.HasPrefix(path.Join("/mnt", rest), "/mnt") {
					t.Errorf("%q leads out of its mount", at)
				}
				if steps++; steps > len(m.path)+2 {
					t.Fatalf("%q has no root", m.path)
				}
			}
		}
	})
}

// FuzzLinks: whatever the links of a capture point to, nothing outside of it is read.
func FuzzLinks(f *testing.F) {
	for _, seed := range []string{"/etc/passwd", "../../../../etc/passwd", "..", "/", "a/../../..", "./memory.max", "//x//.."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		root := t.TempDir()
		write(t, filepath.Join(root, "sys/fs/cgroup/other"), "1")
		if err := os.Symlink(target, filepath.Join(root, "sys/fs/cgroup/link")); err != nil {
			t.Skip(err)
		}
		name, err := newTree(root).real("/sys/fs/cgroup/link/x")
		if err == nil && name != root && !strings.HasPrefix(path.Clean(name), root+"/") {
			t.Errorf("%q leads to %q", target, name)
		}
	})
}

func BenchmarkDetect(b *testing.B) {
	for _, root := range []string{"/", "testdata/v2-limited-cgroupns", "testdata/v1-mem512-cpu1.5", "testdata/v2-deep"} {
		b.Run(path.Base(root), func(b *testing.B) {
			for b.Loop() {
				if _, err := Detect(root, Machine); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
