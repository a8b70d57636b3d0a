package localrun

import (
	"archive/zip"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flink-entrypoint/internal/boot"
	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/jobdef"
	"flink-entrypoint/internal/mock"
)

// factoryJar writes a jar with a factory for each name, as far as factoriesIn reads it.
func factoryJar(t *testing.T, names ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "factories.jar")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	add := func(name string, content []byte) {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var services strings.Builder
	for i, name := range names {
		class := "example.Factory" + string(rune('A'+i))
		services.WriteString(class + "\n")
		content := binary.BigEndian.AppendUint32(nil, 0xCAFEBABE)
		content = append(content, 0, 0, 0, 52, 0, 2, 1)
		content = binary.BigEndian.AppendUint16(content, uint16(len(name)))
		add(strings.ReplaceAll(class, ".", "/")+".class", append(content, name...))
	}
	add("META-INF/services/org.apache.flink.table.factories.Factory", []byte(services.String()))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWhatHasNoJarIsMocked: a table without its connector or without one of its formats is, with one warning for each of them; so is
// one that inherits what is left of such a table. The others are planned as they are.
func TestWhatHasNoJarIsMocked(t *testing.T) {
	const script = `CREATE TABLE a (p STRING) WITH ('connector'='filesystem', 'format'='parquet');
CREATE TABLE b (p STRING) WITH ('connector'='filesystem', 'format'='parquet');
CREATE TABLE c (p STRING) WITH ('connector'='filesystem', 'format'='json');
CREATE TABLE d (p STRING, PRIMARY KEY (p) NOT ENFORCED) WITH ('connector'='upsert-kafka', 'key.format'='avro', 'value.format'='avro-confluent');
CREATE TABLE e WITH ('format'='json') LIKE a;
CREATE TABLE f WITH ('connector'='filesystem', 'format'='json') LIKE a (EXCLUDING OPTIONS);
CREATE TABLE g (p STRING) WITH ('connector'='pulsar', 'format'='never-heard-of');
CREATE TABLE h WITH ('connector'='filesystem', 'format'='json') LIKE g;
CREATE MODEL m INPUT (p STRING) OUTPUT (q STRING) WITH ('provider'='here');
CREATE MODEL n INPUT (p STRING) OUTPUT (q STRING) WITH ('provider'='absent');
INSERT INTO a SELECT p FROM b UNION ALL SELECT p FROM c UNION ALL SELECT p FROM e UNION ALL SELECT p FROM f UNION ALL SELECT p FROM g UNION ALL SELECT p FROM h;
INSERT INTO a SELECT q FROM ML_PREDICT(TABLE c, MODEL m, DESCRIPTOR(p));
INSERT INTO a SELECT q FROM ML_PREDICT(TABLE c, MODEL n, DESCRIPTOR(p));
INSERT INTO d SELECT p FROM c;
`
	l := &Local{job: &boot.Job{Definition: &jobdef.Definition{}}, parts: []mock.Part{{Name: initPart}, {Text: script}}, Version: flinkversion.Of(2, 3, 0)}
	r, err := l.mockAbsent([]string{factoryJar(t, "filesystem", "upsert-kafka", "json", "here")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`no jar of the format "parquet" is here: the options of its tables were not checked`,
		`no jar of the format "avro-confluent" is here: the options of its tables were not checked`,
		`no jar of the format "avro" is here: the options of its tables were not checked`,
		`no jar of the connector "pulsar" is here: the options of its tables were not checked`,
		`statement 13, line 13 is not checked: no jar of the provider "absent" of model n is here`,
	}
	if got := strings.Join(r.Warnings, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("warnings\n%s\nexpected\n%s", got, strings.Join(want, "\n"))
	}
	kept := map[string]bool{"c": true, "f": true}
	for i, line := range strings.Split(script, "\n")[:8] {
		name := string(rune('a' + i))
		if got := strings.Split(r.Parts[1].Text, "\n")[i]; (got == line) != kept[name] {
			t.Errorf("table %s: found %q, as it is: %v", name, got, kept[name])
		}
	}
}
