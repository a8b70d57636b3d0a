package mock

import (
	"errors"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
)

const modelScript = `CREATE TABLE q (id INT, txt STRING) WITH ('connector'='kafka');
CREATE TABLE o (id INT, r STRING) WITH ('connector'='kafka');
CREATE MODEL m INPUT (txt STRING) OUTPUT (r STRING) WITH ('provider'='openai');
CREATE VIEW v AS SELECT id, r FROM TABLE(ML_PREDICT(INPUT => TABLE q, MODEL => MODEL m, ARGS => DESCRIPTOR(txt)));
INSERT INTO o SELECT * FROM v;
EXECUTE STATEMENT SET BEGIN INSERT INTO o SELECT * FROM v; INSERT INTO o SELECT id, txt FROM q; END;
EXECUTE STATEMENT SET BEGIN INSERT INTO o SELECT * FROM v; END;
CREATE TABLE c WITH ('connector'='kafka') AS SELECT * FROM v;
INSERT INTO o SELECT * FROM c;
DESCRIBE v;
ALTER VIEW v RENAME TO w;
DROP VIEW v;
DROP TABLE c;
CREATE MATERIALIZED TABLE mt AS SELECT id FROM q;
ALTER MATERIALIZED TABLE mt SUSPEND;
INSERT INTO o SELECT id, 'x' FROM mt;
DROP MATERIALIZED TABLE mt;
INSERT INTO o SELECT id, model FROM (SELECT id, txt AS model FROM q);
ALTER MODEL m RENAME TO n;
ALTER MODEL n SET ('provider'='there');
INSERT INTO o SELECT id, r FROM ML_PREDICT(TABLE q, MODEL n, DESCRIPTOR(txt));
`

// TestWhatOnlyAProviderCanPlan: it is left out with a warning, and so is what uses it; nothing else is.
func TestWhatOnlyAProviderCanPlan(t *testing.T) {
	here := func(name string) bool { return name == "there" }
	r := rewrite(t, modelScript, Options{PlanOnly: true, Changes: true, Provider: here})
	var left []string
	for _, w := range r.Warnings {
		if at, _, ok := strings.Cut(w, " is not checked: "); ok {
			left = append(left, strings.TrimPrefix(at[strings.Index(at, "line"):], "line "))
		}
	}
	if got, want := strings.Join(left, " "), "4 5 6 7 8 9 10 11 14 15 16"; got != want {
		t.Errorf("not checked: lines %s, want %s\n%s", got, want, strings.Join(r.Warnings, "\n"))
	}
	lines := strings.Split(r.Parts[0].Text, "\n")
	for i, want := range map[int]string{
		5: "", 7: "", 12: "", 13: "", 17: "",
		6:  "EXECUTE STATEMENT SET BEGIN  INSERT INTO o SELECT id, txt FROM q; END",
		18: "INSERT INTO o SELECT id, model FROM (SELECT id, txt AS model FROM q)",
		21: "INSERT INTO o SELECT id, r FROM ML_PREDICT(TABLE q, MODEL n, DESCRIPTOR(txt))",
	} {
		if got := strings.TrimSuffix(lines[i-1], ";"); strings.TrimSpace(got) != want {
			t.Errorf("line %d: found %q, expected %q", i, got, want)
		}
	}

	_, err := Rewrite([]Part{{Text: modelScript}}, Options{Provider: here})
	var e *Error
	if err == nil || !errors.As(err, &e) || e.Line != 4 || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), `provider "openai" of model m`) ||
		!strings.Contains(err.Error(), "CREATE MATERIALIZED TABLE") {
		t.Errorf("to be run: found %v, expected an error for the view and one for the materialized table, none for what uses them", err)
	}
	for _, o := range []Options{{PlanOnly: true, Provider: here, Flink: flinkversion.Of(1, 20, 0)}, {PlanOnly: true}} {
		if r := rewrite(t, strings.Join(strings.Split(modelScript, "\n")[:5], "\n"), o); len(r.Warnings) > 0 {
			t.Errorf("Flink %s, provider known: %v: found %q", o.Flink, o.Provider != nil, r.Warnings)
		}
	}
}

// TestVectorSearch: only the table's own connector can be searched.
func TestVectorSearch(t *testing.T) {
	const sql = `CREATE TABLE q (v ARRAY<FLOAT>) WITH ('connector'='kafka');
CREATE TABLE d (vec ARRAY<FLOAT>) WITH ('connector'='milvus');
SELECT * FROM q, LATERAL TABLE(VECTOR_SEARCH(TABLE d, q.v, DESCRIPTOR(vec), 3));
SELECT * FROM q, LATERAL VECTOR_SEARCH(SEARCH_TABLE => TABLE d, COLUMN_TO_SEARCH => DESCRIPTOR(vec), COLUMN_TO_QUERY => q.v, TOP_K => 3);
SELECT * FROM TABLE(TUMBLE(TABLE d, DESCRIPTOR(vec), INTERVAL '1' MINUTE));
`
	for keep, want := range map[string]int{"": 2, "d": 0} {
		o := Options{PlanOnly: true}
		if keep != "" {
			o.Keep = []string{keep}
		}
		r := rewrite(t, sql, o)
		if got := strings.Count(strings.Join(r.Warnings, "\n"), `VECTOR_SEARCH queries the connector of table d itself, "milvus", which has no mock`); got != want || len(r.Warnings) != want {
			t.Errorf("kept %q: found %q, expected %d warnings", keep, r.Warnings, want)
		}
	}
}

// TestModelsOfACatalog: nothing is created, changed or dropped in a real catalog.
func TestModelsOfACatalog(t *testing.T) {
	r := rewrite(t, `CREATE CATALOG h WITH ('type'='hive');
USE CATALOG h;
CREATE MODEL IF NOT EXISTS m WITH ('provider'='x');
CREATE TEMPORARY MODEL n WITH ('provider'='x');
ALTER MODEL m SET ('a'='b');
ALTER MODEL real RENAME TO other;
ALTER MATERIALIZED TABLE mt SUSPEND;
DROP MODEL IF EXISTS m;
DROP MODEL real;
DROP TEMPORARY MODEL n;
`, Options{PlanOnly: true})
	want := `CREATE CATALOG h WITH ('type'='hive');
USE CATALOG h;
CREATE TEMPORARY MODEL IF NOT EXISTS m WITH ('provider'='x');
CREATE TEMPORARY MODEL n WITH ('provider'='x');
;
;
;
DROP TEMPORARY MODEL IF EXISTS m;
;
DROP TEMPORARY MODEL n;
`
	if got := r.Parts[0].Text; got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	if len(r.Warnings) != 4 {
		t.Errorf("found %q, expected four warnings", r.Warnings)
	}
}
