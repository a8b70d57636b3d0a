//go:build flink

package debug

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the verdicts of Kafka's connector, see TestVerdictsOfTheRealConnector")

// TestVerdictsOfTheRealConnector: a script gets the same verdict, word for word, whether the jar of its connector is here or not. The
// verdicts with the jar are in testdata/changes, for the versions that were asked. They are made by:
//
//	mvn dependency:copy -Dartifact=org.apache.flink:flink-sql-connector-kafka:VERSION -DoutputDirectory=DIR
//	FLINK_VERSIONS=FLINK KAFKA_CONNECTOR=DIR/flink-sql-connector-kafka-VERSION.jar go test -tags flink ./test/debug -run VerdictsOfTheReal -update
//
// with VERSION and FLINK 1.15.2 1.15.4, 3.2.0-1.19 1.20.5, 4.0.1-2.0 2.1.3, 5.0.0-2.2 2.2.1, 5.0.0-2.2 2.3.0.
func TestVerdictsOfTheRealConnector(t *testing.T) {
	eachVersion(t, func(t *testing.T, e entrypoint) {
		minor := strings.Join(strings.SplitN(filepath.Base(e.home), ".", 3)[:2], ".")
		for _, script := range []string{"kafka", "conflict"} {
			if script == "conflict" && minor < "2.3" {
				continue // Flink knows no ON CONFLICT
			}
			file := filepath.Join("testdata", "changes", script+"-"+minor+".txt")
			if *update {
				jar := os.Getenv("KAFKA_CONNECTOR")
				if jar == "" {
					t.Fatal("KAFKA_CONNECTOR does not name the connector's jar")
				}
				if err := os.WriteFile(file, []byte(e.verdict(t, script, jar)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if os.IsNotExist(err) {
				t.Skipf("Kafka's connector was not asked on %s", minor)
			}
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Split(e.verdict(t, script, ""), "\n")
			for i, line := range strings.Split(string(want), "\n") {
				if i >= len(got) || got[i] != line {
					t.Errorf("%s: found:\n%s\nwith Kafka's jar:\n%s", file, strings.Join(got[min(i, len(got)):min(i+1, len(got))], "\n"), line)
					break
				}
			}
			if len(got) > strings.Count(string(want), "\n")+1 {
				t.Errorf("%s: %d errors more than with Kafka's jar", file, len(got)-strings.Count(string(want), "\n")-1)
			}
		}
	})
}

// verdict lists the errors that validate --engine finds, with a jar on the class path or without.
func (e entrypoint) verdict(t *testing.T, script, jar string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "changes", script+".sql"))
	if err != nil {
		t.Fatal(err)
	}
	definition := fmt.Sprintf("apiVersion: flink-entrypoint/v1\nname: %s\nsql: {scriptUri: \"file://%s\"}\n", script, e.write(t, script+".sql", string(text)))
	if jar != "" {
		definition += fmt.Sprintf("artifacts: [{uri: \"file://%s\", to: usrlib}]\n", jar)
	}
	e.write(t, script+".yaml", definition)
	r := e.run(t, "--output", "json", "--definition", script+".yaml", "validate", "--engine")
	var found struct {
		Errors []struct {
			Line    int
			Message string
		}
		Warnings []string
	}
	if err := json.Unmarshal([]byte(r.stdout), &found); err != nil || len(found.Errors) == 0 {
		t.Fatalf("%v\n%s\n%s", err, r.stdout, r.stderr)
	}
	if strings.Contains(strings.Join(found.Warnings, "\n"), `"kafka"`) == (jar != "") {
		t.Fatalf("jar %q, warnings %q", jar, found.Warnings)
	}
	var b strings.Builder
	for _, f := range found.Errors {
		fmt.Fprintf(&b, "%d: %s\n", f.Line, f.Message)
	}
	return b.String()
}

// TestRefusedStatementRuns: what Flink refuses with the real connectors runs in debug, with a warning in Flink's words.
func TestRefusedStatementRuns(t *testing.T) {
	eachVersion(t, func(t *testing.T, e entrypoint) {
		e.write(t, "refused.sql", `CREATE TABLE clicks (p STRING, n BIGINT, pt AS PROCTIME()) WITH ('connector' = 'kafka', 'format' = 'json');
CREATE TABLE captured (p STRING, n BIGINT) WITH ('connector' = 'mysql-cdc');
CREATE TABLE dim (p STRING, v BIGINT) WITH ('connector' = 'jdbc');
CREATE TABLE counts (p STRING, n BIGINT) WITH ('connector' = 'kafka', 'format' = 'json');
CREATE TABLE joined (p STRING, v BIGINT) WITH ('connector' = 'kafka', 'format' = 'json');
CREATE TABLE copied (p STRING, n BIGINT) WITH ('connector' = 'kafka', 'format' = 'json');
CREATE TABLE kept (p STRING, n BIGINT, PRIMARY KEY (p) NOT ENFORCED) WITH ('connector' = 'jdbc');
INSERT INTO counts SELECT p, COUNT(*) FROM clicks GROUP BY p;
INSERT INTO copied SELECT p, n FROM captured;
INSERT INTO joined SELECT c.p, d.v FROM clicks AS c LEFT JOIN dim FOR SYSTEM_TIME AS OF c.pt AS d ON c.p = d.p;
INSERT INTO kept SELECT p, COUNT(*) FROM clicks GROUP BY p;
`)
		r := e.run(t, "debug", "--seed", "7", "refused.sql")
		r.want(t, 0, `warning: refused\.sql:8:1: statement 8: runs here, but Flink refuses it with the real connectors: Table sink '.*counts' doesn't support consuming update changes which is produced by node GroupAggregate`,
			`warning: refused\.sql:9:1: statement 9: .*Table sink '.*copied' doesn't support consuming update and delete changes which is produced by node TableSourceScan`,
			`^counts +\+I  \[1, 1\]$`, `^copied +\+I  \[1, .*\]$`, `^joined +`, `^kept +\+I `)
		if n := strings.Count(r.stderr, "with the real connectors"); n != 2 {
			t.Errorf("%d warnings, want 2: a lookup join that became a regular one is not compared\n%s", n, r.stderr)
		}
		e.run(t, "--definition", "refused.sql", "validate", "--engine").want(t, 26, `^refused\.sql:8:1: statement 8: Table sink '.*counts' doesn't support consuming update changes`,
			`^refused\.sql:9:1: statement 9: Table sink '.*copied' doesn't`, `^error: 2 errors in the script`)
	})
}

// TestConflictClause: ON CONFLICT, which Flink allows for upsert sinks alone, is planned and run where the sink has no jar.
func TestConflictClause(t *testing.T) {
	eachVersion(t, func(t *testing.T, e entrypoint) {
		if !strings.HasPrefix(filepath.Base(e.home), "2.3") {
			t.Skip("Flink knows ON CONFLICT from 2.3 on")
		}
		e.write(t, "conflict.sql", `CREATE TABLE clicks (p STRING, n BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'kafka', 'format' = 'json');
CREATE TABLE first (p STRING, n BIGINT, PRIMARY KEY (p) NOT ENFORCED) WITH ('connector' = 'upsert-kafka', 'value.format' = 'json');
CREATE TABLE last (p STRING, n BIGINT, PRIMARY KEY (p) NOT ENFORCED) WITH ('connector' = 'jdbc');
CREATE TABLE single (p STRING, n BIGINT, PRIMARY KEY (p) NOT ENFORCED) WITH ('connector' = 'never-heard-of');
INSERT INTO first SELECT p, n FROM clicks ON CONFLICT DO NOTHING;
INSERT INTO last SELECT p, n FROM clicks ON CONFLICT DO DEDUPLICATE;
INSERT INTO single SELECT p, n FROM clicks ON CONFLICT DO ERROR;
`)
		e.run(t, "--definition", "conflict.sql", "validate", "--engine").want(t, 0, `^valid: conflict$`)
		e.write(t, "clicks.csv", "a,1,2024-01-01 00:00:01.000\nb,2,2024-01-01 00:00:02.000\n")
		r := e.run(t, "debug", "--data", "clicks=clicks.csv", "conflict.sql")
		r.want(t, 0, `^first +\+I  \[a, 1\]$`, `^first +\+I  \[b, 2\]$`, `^last +\+I  \[b, 2\]$`, `^single +\+I  \[a, 1\]$`, `^6 rows in `)
	})
}

// TestFormatWithoutJar: a format that has no jar is one warning, as a connector is, and no error.
func TestFormatWithoutJar(t *testing.T) {
	eachVersion(t, func(t *testing.T, e entrypoint) {
		e.write(t, "formats.sql", `CREATE TABLE a (id BIGINT, p STRING) PARTITIONED BY (p) WITH ('connector' = 'filesystem', 'path' = 'file:///nowhere/a', 'format' = 'parquet');
CREATE TABLE b (id BIGINT, p STRING) WITH ('connector' = 'filesystem', 'path' = 'file:///nowhere/b', 'format' = 'orc');
CREATE TABLE j (id BIGINT, p STRING) WITH ('connector' = 'filesystem', 'path' = 'file:///nowhere/j', 'format' = 'json');
CREATE TABLE like_a WITH ('format' = 'json') LIKE a;
INSERT INTO b SELECT id, p FROM a;
INSERT INTO a SELECT id, p FROM j;
INSERT INTO like_a SELECT id, p FROM b;
INSERT INTO j SELECT id, nam FROM b;
INSERT INTO b SELECT COUNT(*), p FROM j GROUP BY p;
`)
		r := e.run(t, "--definition", "formats.sql", "validate", "--engine")
		r.want(t, 26, `no jar of the format "parquet" is here`, `no jar of the format "orc" is here`, `^formats\.sql:8:26: statement 8: Column 'nam' not found`,
			`^formats\.sql:9:1: statement 9: Table sink '.*b' doesn't support consuming update changes`, `^error: 2 errors in the script`)
		if n := strings.Count(r.stderr, "no jar of"); n != 2 {
			t.Errorf("%d warnings about jars, want 2\n%s", n, r.stderr)
		}
	})
}

// TestModelsAndVectorSearch: what a model's provider or a connector itself must plan is not checked where its jar is missing, nor
// what uses it; everything else is.
func TestModelsAndVectorSearch(t *testing.T) {
	eachVersion(t, func(t *testing.T, e entrypoint) {
		if filepath.Base(e.home) < "2.2" {
			t.Skip("Flink knows models from 2.1 on, VECTOR_SEARCH from 2.2 on")
		}
		e.write(t, "models.sql", `CREATE TABLE q (id BIGINT, txt STRING, v ARRAY<FLOAT>) WITH ('connector' = 'kafka', 'format' = 'json');
CREATE TABLE docs (id BIGINT, vec ARRAY<FLOAT>) WITH ('connector' = 'milvus');
CREATE TABLE o (id BIGINT, r STRING) WITH ('connector' = 'kafka', 'format' = 'json');
CREATE MODEL m INPUT (txt STRING) OUTPUT (r STRING) WITH ('provider' = 'openai', 'api-key' = 'canary');
CREATE VIEW answered AS SELECT id, r FROM ML_PREDICT(TABLE q, MODEL m, DESCRIPTOR(txt));
INSERT INTO o SELECT id, r FROM answered;
INSERT INTO o SELECT s.id, q.txt FROM q, LATERAL TABLE(VECTOR_SEARCH(TABLE docs, q.v, DESCRIPTOR(vec), 3)) AS s;
EXECUTE STATEMENT SET BEGIN
  INSERT INTO o SELECT * FROM answered;
  INSERT INTO o SELECT id, nam FROM q;
END;
ALTER MODEL m SET ('task' = 'x');
DESCRIBE MODEL m;
DROP MODEL m;
DROP VIEW answered;
`)
		r := e.run(t, "--definition", "models.sql", "validate", "--engine")
		r.want(t, 26, `statement 5, line 5 is not checked: no jar of the provider "openai" of model m is here`, `statement 6, line 6 is not checked: it uses answered, which is not checked`,
			`statement 7, line 7 is not checked: VECTOR_SEARCH queries the connector of table docs itself, "milvus"`, `statement 8, line 9 is not checked`,
			`^models\.sql:10:28: statement 8: Column 'nam' not found`, `^error: models\.sql:10:28`)
		r = e.run(t, "debug", "models.sql")
		r.want(t, 26, `^models\.sql:5:1: statement 5: no jar of the provider "openai"`, `^models\.sql:7:1: statement 7: VECTOR_SEARCH`, `^error: 2 errors`)
	})
}
