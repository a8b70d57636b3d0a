package jobdef

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"flink-entrypoint/internal/yaml"
)

// jsonValue turns a node into what a JSON parser would make of it.
func jsonValue(n *yaml.Node) any {
	switch kindOf(n) {
	case nullKind:
		return nil
	case boolKind:
		return n.Text[0]|0x20 == 't'
	case numberKind:
		if json.Valid([]byte(n.Text)) {
			return json.Number(n.Text)
		}
	case mappingKind:
		v := make(map[string]any, len(n.Pairs))
		for _, p := range n.Pairs {
			v[p.Key.Text] = jsonValue(p.Value)
		}
		return v
	case sequenceKind:
		v := make([]any, len(n.Items))
		for i, e := range n.Items {
			v[i] = jsonValue(e)
		}
		return v
	}
	return n.Text
}

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("schema.json", schema); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json") // validates it against the meta-schema too
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSchemaAgrees gives every document of the tests to an independent validator: what the decoder accepts the schema
// accepts, and what the decoder refuses the schema refuses, but for what JSON Schema cannot say.
func TestSchemaAgrees(t *testing.T) {
	schema := compile(t)
	valid := []string{
		"apiVersion: flink-entrypoint/v1\nname: a",
		"{apiVersion: flink-entrypoint/v1, name: true, id: {fromEnv: X}, x-any: [null]}",
		"{apiVersion: flink-entrypoint/v1, name: a, highAvailability: {type: none}, resources: {taskManager: {slots: 4, cpu: 0.5, memory: 1073741824}}}",
		"{apiVersion: flink-entrypoint/v1, name: a, metrics: {prometheus: true, otlp: {fromEnv: OTLP_URL}}}",
		"{apiVersion: flink-entrypoint/v1, name: a, metrics: {prometheus: false, otlp: 'http://h/p', labels: {env: 1}}}",
		"{apiVersion: flink-entrypoint/v1, name: a, jar: {uri: x.jar, args: []}, configuration: {a: {b: {c: [1, true, {fromFile: /x}]}}, a.b: \"\"}}",
		"{apiVersion: flink-entrypoint/v1, name: a, artifacts: [{uri: x, to: lib, sha256: " + strings.Repeat("aB", 32) + "}], sql: {set: {}, catalogs: [], functions: [], useModules: []}}",
		"{apiVersion: flink-entrypoint/v1, name: a, sql: {use: {database: d}, functions: [{name: a.b, class: C, system: false, temporary: true, language: PYTHON, jars: []}]}, logging: {}, savepoint: {path: p}}",
	}
	for _, name := range []string{"../../examples/full.yaml", "../../examples/clicks-per-minute.yaml"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		valid = append(valid, string(b))
	}
	for _, document := range valid {
		if _, err := Decode("d", []byte(document)); err != nil {
			t.Errorf("the decoder refuses %s\n%v", document, err)
		}
		n, problem := read([]byte(document))
		if problem != nil {
			t.Fatal(problem)
		}
		if err := schema.Validate(jsonValue(n)); err != nil {
			t.Errorf("the schema refuses %s\n%v", document, err)
		}
	}

	weaker := []string{ // beyond JSON Schema: names that must differ, keys that occur twice, what a URI or number means
		"occurs twice", "is set twice", "would be stored as", "does not end in the name of a file", "belongs to no catalog", "ends before it begins", "itself sets the label", "holds a NUL character",
		`found "0"`, `found "-1"`, `found "1.5"`, `found "1"`, `found "70000"`,
	}
	b, err := os.ReadFile("testdata/errors.txt")
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, section := range strings.Split(string(b), "=== ")[1:] {
		name, rest, _ := strings.Cut(section, "\n")
		document, _, _ := strings.Cut(rest, "---> ")
		n, problem := read([]byte(document))
		if problem != nil || n == nil {
			continue // no JSON at all
		}
		_, err := Decode("d", []byte(document))
		var all *Errors
		if !errors.As(err, &all) {
			t.Fatalf("%s: the decoder accepts it", name)
		}
		beyond := true // all problems are
		for _, p := range all.List {
			known := false
			for _, w := range weaker {
				known = known || strings.Contains(p.Message, w)
			}
			beyond = beyond && known
		}
		if err := schema.Validate(jsonValue(n)); err == nil && !beyond {
			t.Errorf("%s: the schema accepts what the decoder refuses:\n%v", name, all)
		}
		refused++
	}
	if refused < 40 {
		t.Errorf("%d refused documents, want at least 40", refused)
	}
}

// TestEveryProblemAlone takes the documents with many problems apart: a copy of the full example with one field made
// wrong must be refused by both.
func TestEveryProblemAlone(t *testing.T) {
	schema := compile(t)
	src, err := os.ReadFile("../../examples/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{"apiVersion: flink-entrypoint/v1", "apiVersion: v1"}, {"name: clicks-per-minute", "name: ''"}, {"id: 0000", "id: x000"}, {"flinkVersion: 1.20", "flinkVersion: one"},
		{"memory: 1600m", "memory: 1600q"}, {"cpu: 1500m", "cpu: many"}, {"slots: auto", "slots: all"}, {"cpu: 1}", "cpu: 1, slots: 1}"}, {"interval: 1 min", "interval:"},
		{"incremental: true", "incremental: [[true]]"}, {"{fromFile: /run/secrets/s3}", "{fromFile: /a, fromEnv: B}"}, {"type: zookeeper", "type: ZOOKEEPER"},
		{"  type: zookeeper", "  type: kubernetes"}, {"  clusterId: {fromEnv: CLUSTER_ID}\n", ""}, {"level: INFO", "level: info"}, {"com.example: DEBUG", "com.example: {}"},
		{"prometheus: {port: 9249-9259}", "prometheus: yes"}, {"port: 9249-9259", "port: 9249-"}, {"port: 9249-9259", "ports: 9249"}, {"url: \"http://collector:4317\"", "url: \"collector:4317\""},
		{"interval: 30 s", "interval: 30 x"}, {"url: \"http://collector:4317\", ", ""}, {"team: web", "te-am: web"}, {"team: web", "team: {fromEnv: T}"},
		{"    to: lib", "    to: lib/x"}, {"    sha256: e3b0", "    sha256: x3b0"}, {", sha256: *udf-digest, to: plugins", ", to: plugins"}, {"to: plugins/s3-fs-hadoop", "to: plugins/../lib"},
		{"{uri: /etc/clicks/pages.csv, to: run}", "{to: run}"}, {"{name: hive, options: {hive-version: 3.1.3}}", "{name: hive, options: {type: hive}}"}, {"useModules: [hive, core]", "useModules: hive"},
		{"{type: hive, hive-conf-dir: /etc/hive}", "{hive-conf-dir: /etc/hive}"}, {"name: ods, ", ""}, {"- createStatement: \"CREATE", "- name: x\n      createStatement: \"CREATE"},
		{"class: com.example.ParseUa, ", ""}, {"language: SCALA", "language: KOTLIN"}, {"language: PYTHON", "language: PYTHON, jars: [a]"}, {"system: true", "system: true, temporary: false"},
		{"database: default}", "database: default, schema: x}"}, {"  script: |", "  scriptUri: x\n  script: |"}, {"savepoint:", "jar: {uri: x.jar}\nsavepoint:"},
		{"  path: \"s3://savepoints/clicks/savepoint-0a1b2c\"\n", ""}, {"allowNonRestoredState: false", "allowNonRestoredState: 0"}, {"x-owner: team-web ", "owner: team-web "},
	} {
		document := strings.Replace(string(src), c[0], c[1], 1)
		if document == string(src) {
			t.Errorf("%q is not in the example", c[0])
			continue
		}
		n, problem := read([]byte(document))
		if problem != nil {
			t.Errorf("%q: %v", c[1], problem)
			continue
		}
		if _, err := Decode("d", []byte(document)); err == nil {
			t.Errorf("the decoder accepts %q", c[1])
		}
		if err := schema.Validate(jsonValue(n)); err == nil {
			t.Errorf("the schema accepts %q", c[1])
		}
	}
}

// TestForms holds the patterns of the schema against the functions of the decoder.
func TestForms(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"", " ", "\t", "\n", "a", "auto", "0", "1", "12", "9", ".", "5", "e", "E", "+", "-", "m", "M", "Mi", "mb", "kib", "gibibytes", "b", "bytes", "Ki", "i", "K", "T", "/", "..", "_", "=",
		"usrlib", "run", "lib", "plugins/", "plugins", "f00d", strings.Repeat("0aF9", 8), strings.Repeat("0aF9", 16), "sha256:", "\x7f", "\x01", "中", "é", "s3://x", "x.jar",
		"2.2", "http://", "https://h", "/p", "?", "#", "@", "-", "65535", "65536", "9249", "ms", "s", "min", "h", "team"}
	for f := anyForm; f <= fileForm; f++ {
		row := f.row()
		if row.pattern == "" {
			continue
		}
		pattern := regexp.MustCompile(row.pattern)
		matches := 0
		for range 10_000 {
			var s string
			for range random.IntN(5) {
				s += pieces[random.IntN(len(pieces))]
			}
			mantissa, _, _ := strings.Cut(strings.ToLower(s), "e")
			zero := (f == memoryForm || f == cpuForm) && !strings.ContainsAny(mantissa, "123456789") // which no pattern refuses
			if got, want := row.ok(s), pattern.MatchString(s); got != want && (got || !zero) {
				t.Errorf("form %d (%s): %q is %t for the decoder, %t for the schema", f, row.expected, s, got, want)
			}
			if row.ok(s) {
				matches++
			}
		}
		if matches == 0 {
			t.Errorf("form %d (%s): no string matches", f, row.expected)
		}
	}
}
