//go:build flink

package scripts

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/test/flinkhome/homes"
)

var update = flag.Bool("update", false, "write digests.txt, from the homes of all releases")

// TestDigestsOfTheHomes: the table has the files of the real homes, and no others for their versions.
func TestDigestsOfTheHomes(t *testing.T) {
	type text struct{ digest, file string }
	found := map[text][]string{}
	var order []text
	versions := homes.Versions()
	if *update {
		versions = nil
		for _, r := range homes.Releases() {
			versions = append(versions, r.Version)
		}
	}
	for _, version := range versions {
		v, err := flinkversion.Parse(version)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range listedFiles() {
			content, err := os.ReadFile(homes.Home(t, version) + "/bin/" + file)
			if errors.Is(err, fs.ErrNotExist) {
				if _, ok := digests.digestOf(file, v.Release()); ok && !*update {
					t.Errorf("the table has %s of Flink %s, the home has not", file, version)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			k := text{fmt.Sprintf("%x", sha256.Sum256(content)), file}
			if found[k] == nil {
				order = append(order, k)
			}
			found[k] = append(found[k], v.Release().String())
			if got, _ := digests.digestOf(file, v.Release()); got != k.digest && !*update {
				t.Errorf("%s of Flink %s: the table has %q, the home %s", file, version, got, k.digest)
			}
		}
	}
	if !*update {
		return
	}
	slices.SortStableFunc(order, func(a, b text) int { return strings.Compare(a.file, b.file) })
	var table strings.Builder
	for _, k := range order {
		fmt.Fprintf(&table, "%s %s %s\n", k.digest, k.file, strings.Join(found[k], " "))
	}
	if err := os.WriteFile("digests.txt", []byte(table.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestRealHomes: each script of each release is recognised in the forms that controllers use.
func TestRealHomes(t *testing.T) {
	for _, version := range homes.Versions() {
		home := homes.Home(t, version)
		v, err := flinkversion.Parse(version)
		if err != nil {
			t.Fatal(err)
		}
		for name := range allScripts() {
			if _, err := os.Stat(home + "/bin/" + name); err != nil {
				if name != "sql-gateway.sh" || v.Reaches(flinkversion.Since(1, 16)) {
					t.Error(err)
				}
				continue
			}
			first := map[bool]string{true: " start-foreground", false: ""}[allScripts()[name].start]
			if name == "kubernetes-jobmanager.sh" {
				first = " kubernetes-application"
			}
			req := Request{Env: []string{"PATH=" + home + "/bin"}, BinDir: home + "/bin", Version: v}
			for _, command := range [][]string{
				strings.Fields(name + first + " -D a=b"),
				strings.Fields(home + "/bin/" + name + first + " -D a=b"),
				{"bash", "-c", name + first + " -D 'a=b'"},
			} {
				req.Command = command
				got := Recognise(req)
				if got.Role == "" || !slices.Equal(got.Args, []string{"-D", "a=b"}) || got.Script != home+"/bin/"+name {
					t.Errorf("Flink %s, %q: %+v", version, command, got)
				}
			}
		}
	}
}
