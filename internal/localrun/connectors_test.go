package localrun

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// catalogJar writes a jar whose one factory, listed for a service, holds the identifier as a constant.
func catalogJar(t *testing.T, service, identifier string) string {
	t.Helper()
	var class bytes.Buffer
	class.Write([]byte{0xCA, 0xFE, 0xBA, 0xBE, 0, 0, 0, 52, 0, 2, 1})
	_ = binary.Write(&class, binary.BigEndian, uint16(len(identifier)))
	class.WriteString(identifier)
	path := filepath.Join(t.TempDir(), "factory.jar")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for name, content := range map[string]string{"META-INF/services/" + service: "# a comment\ncom.example.Factory\n", "com/example/Factory.class": class.String()} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAbsentCatalogs: Iceberg lists its catalog factory for the older service.
func TestAbsentCatalogs(t *testing.T) {
	absent := (*factoryIndex)(nil).absentCatalogs([]string{
		catalogJar(t, "org.apache.flink.table.factories.Factory", "paimon"),
		catalogJar(t, "org.apache.flink.table.factories.TableFactory", "iceberg"),
		catalogJar(t, "org.apache.flink.core.fs.FileSystemFactory", "hudi"),
		filepath.Join(t.TempDir(), "none.jar"),
	})
	for kind, want := range map[string]bool{"paimon": false, "iceberg": false, "hudi": true, "hive": true} {
		for range 2 {
			if got := absent(kind); got != want {
				t.Errorf("a catalog of type %s is missing: %v, want %v", kind, got, want)
			}
		}
	}
}

// TestAJarThatChangesIsReadAgain: a server remembers what jars bring, and looks again at one that was replaced.
func TestAJarThatChangesIsReadAgain(t *testing.T) {
	jar := factoryJar(t, "kafka")
	var x factoryIndex
	for range 2 {
		if got := x.factoriesIn([]string{jar, jar + ".absent"}, []string{"kafka", "jdbc"}); !got["kafka"] || got["jdbc"] {
			t.Fatalf("found %v", got)
		}
	}
	if len(x.jars) != 1 {
		t.Errorf("it remembers %d jars, expected 1", len(x.jars))
	}
	if err := os.Rename(factoryJar(t, "kafka", "jdbc"), jar); err != nil {
		t.Fatal(err)
	}
	if got := x.factoriesIn([]string{jar}, []string{"kafka", "jdbc"}); !got["kafka"] || !got["jdbc"] {
		t.Errorf("found %v after the jar was replaced", got)
	}
}
