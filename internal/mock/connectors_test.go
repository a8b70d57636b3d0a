package mock

import (
	"slices"
	"strings"
	"testing"
)

// TestChangesOfConnectors: the planner sees the changes that the real connectors take and make, not those of datagen and print.
func TestChangesOfConnectors(t *testing.T) {
	const key, none = ", PRIMARY KEY (p) NOT ENFORCED", ""
	for _, c := range []struct {
		options, key string
		sink, source changes // "": print or datagen themselves
		refuses      string
	}{
		{"'connector'='kafka', 'format'='json'", none, inserts, "", ""},
		{"'connector'='kafka', 'value.format'='avro'", none, inserts, "", ""},
		{"'connector'='kafka', 'format'='debezium-json'", key, every, every, ""},
		{"'connector'='kafka', 'format'='never-heard-of'", key, "", "", ""},
		{"'connector'='kafka', 'format'='json'", key, inserts, inserts, "with 'json' format doesn't support defining PRIMARY KEY"},
		{"'connector'='upsert-kafka', 'value.format'='json'", key, upserts, updates, ""},
		{"'connector'='upsert-kafka', 'value.format'='json'", none, upserts, updates, "tables require to define a PRIMARY KEY"},
		{"'connector'='kinesis', 'format'='csv'", none, inserts, "", ""},
		{"'connector'='filesystem', 'format'='parquet'", none, inserts, "", ""},
		{"'connector'='jdbc'", key, upserts, "", ""},
		{"'connector'='mongodb'", key, upserts, "", ""},
		{"'connector'='mongodb'", none, inserts, "", ""},
		{"'connector'='elasticsearch-7'", none, askedUpsert, "", ""},
		{"'connector'='blackhole'", none, askedUpsert, "", ""},
		{"'connector'='iceberg'", none, "", "", ""},
		{"'connector'='paimon'", key, askedUpsert, upserts, ""},
		{"'connector'='paimon', 'merge-engine'='aggregation', 'changelog-producer'='lookup'", key, "", every, ""},
		{"'connector'='doris'", none, upserts, "", ""},
		{"'connector'='mysql-cdc'", none, "", every, ""},
		{"'connector'='mysql-cdc', 'scan.read-changelog-as-append-only.enabled'='true'", none, "", "", ""},
		{"'connector'='postgres-cdc', 'changelog-mode'='upsert'", key, "", upserts, ""},
		{"'connector'='mongodb-cdc'", key, "", upserts, ""},
		{"'connector'='never-heard-of'", key, "", "", ""},
	} {
		table := "CREATE TABLE t (p STRING, n BIGINT" + c.key + ") WITH (" + c.options + ");\n"
		for _, side := range []struct {
			sql, of string
			want    changes
		}{
			{"INSERT INTO t SELECT 'a', 1", "print", c.sink},
			{"SELECT * FROM t", "datagen", c.source},
		} {
			text := rewrite(t, table+side.sql, Options{Changes: true}).Parts[0].Text
			want := "WITH ('connector' = '" + side.of + "'"
			if side.want != "" {
				want = "WITH ('connector' = 'flink-entrypoint-mock', 'mock.of' = '" + side.of + "', 'mock.changes' = '" + string(side.want) + "'"
			}
			if !strings.Contains(text, want) || strings.Contains(text, "mock.refusal") != (c.refuses != "") || !strings.Contains(text, strings.ReplaceAll(c.refuses, "'", "''")) {
				t.Errorf("%s%s: found\n%s\nexpected %s, refused: %q", table, side.sql, text, want, c.refuses)
			}
			if text := rewrite(t, table+side.sql, Options{}).Parts[0].Text; strings.Contains(text, "flink-entrypoint-mock") {
				t.Errorf("a script to be shown needs our connector:\n%s", text)
			}
		}
	}
}

// TestChangesAreInherited: LIKE takes connector, format and key along, unless it says otherwise.
func TestChangesAreInherited(t *testing.T) {
	const base = "CREATE TABLE b (p STRING, PRIMARY KEY (p) NOT ENFORCED) WITH ('connector'='kafka', 'format'='json');\n"
	for like, want := range map[string]string{
		"CREATE TABLE t LIKE b":                                                    "'+I', 'print-identifier' = 't', 'mock.refusal'",
		"CREATE TABLE t LIKE b (EXCLUDING CONSTRAINTS)":                            "'+I', 'print-identifier' = 't')",
		"CREATE TABLE t WITH ('format'='debezium-json') LIKE b":                    "'+I -U +U -D', 'print-identifier' = 't')",
		"CREATE TABLE t WITH ('connector'='upsert-kafka') LIKE b":                  "'+I +U -D', 'print-identifier' = 't')",
		"CREATE TABLE t WITH ('connector'='jdbc') LIKE b (EXCLUDING ALL)":          "'+I +U -D', 'print-identifier' = 't', 'mock.update-refusal'",
		"CREATE TABLE t WITH ('connector'='own') LIKE b (EXCLUDING OPTIONS)":       "WITH ('connector' = 'print', 'print-identifier' = 't')",
		"CREATE TABLE t WITH ('connector'='kafka') LIKE b (EXCLUDING OPTIONS)":     "WITH ('connector' = 'print', 'print-identifier' = 't')",
		"CREATE TABLE t WITH ('connector'='jdbc') LIKE b (EXCLUDING OPTIONS)":      "'+I +U -D', 'print-identifier' = 't')",
		"CREATE TABLE t (x INT) WITH ('connector'='kafka', 'format'='raw') LIKE b": "'mock.refusal' = 'The Kafka table ''default_catalog.default_database.t'' with ''raw'' format",
	} {
		if text := rewrite(t, base+like+"; INSERT INTO t SELECT 'a'", Options{Changes: true}).Parts[0].Text; !strings.Contains(text, want) {
			t.Errorf("%s: found\n%s\nexpected %s", like, text, want)
		}
	}
}

// TestConflictTakesUpserts: ON CONFLICT is for upsert sinks alone, whether the table's connector is known or not.
func TestConflictTakesUpserts(t *testing.T) {
	for _, sql := range []string{
		"CREATE TABLE t (p STRING, PRIMARY KEY (p) NOT ENFORCED) WITH ('connector'='jdbc'); INSERT INTO t SELECT 'a' ON CONFLICT DO NOTHING",
		"CREATE TABLE t (p STRING, PRIMARY KEY (p) NOT ENFORCED) WITH ('connector'='own'); INSERT INTO t SELECT 'a' ON CONFLICT DO ERROR",
		"CREATE CATALOG h WITH ('type'='hive'); EXECUTE STATEMENT SET BEGIN INSERT INTO h.d.t SELECT 'a' ON CONFLICT DO DEDUPLICATE; END",
	} {
		if text := rewrite(t, sql, Options{Changes: true}).Parts[0].Text; !strings.Contains(text, "'mock.changes' = '+I +U -D', 'print-identifier' = 't', 'mock.conflicts' = 'true'") {
			t.Errorf("%s: found\n%s", sql, text)
		}
	}
}

// TestLookupJoins: where they are only planned they stay, and the mock can be looked up; where they run they become regular joins, and
// what such a statement makes is not compared with what the user's makes.
func TestLookupJoins(t *testing.T) {
	const sql = `CREATE TABLE k (p STRING, pt AS PROCTIME()) WITH ('connector'='kafka', 'format'='json');
CREATE TABLE d (p STRING, v INT) WITH ('connector'='jdbc');
CREATE TABLE s (p STRING, v INT) WITH ('connector'='kafka', 'format'='json');
CREATE VIEW j AS SELECT k.p, d.v FROM k LEFT JOIN d FOR SYSTEM_TIME AS OF k.pt ON k.p = d.p;
INSERT INTO s SELECT * FROM j;
INSERT INTO s SELECT p, 1 FROM k;
EXECUTE STATEMENT SET BEGIN
INSERT INTO s SELECT k.p, d.v FROM k JOIN d FOR SYSTEM_TIME AS OF k.pt ON k.p = d.p;
END;
`
	planned := rewrite(t, sql, Options{Changes: true, PlanOnly: true})
	if text := planned.Parts[0].Text; strings.Count(text, "FOR SYSTEM_TIME AS OF k.pt") != 2 || strings.Count(text, "'mock.lookup' = 'true'") != 1 || len(planned.Warnings) > 0 {
		t.Errorf("found\n%s\nwarnings: %q", text, planned.Warnings)
	}
	run := rewrite(t, sql, Options{Changes: true})
	if text := run.Parts[0].Text; strings.Contains(text, "SYSTEM_TIME") || strings.Contains(text, "mock.lookup") || !run.Compares {
		t.Errorf("found\n%s", text)
	}
	if got, want := slices.Compact(run.Differs[0]), []int{4, 5, 7}; !slices.Equal(got, want) {
		t.Errorf("differ: lines %v, want %v", got, want)
	}
}

// TestExactSinks: each sink of a run for a program writes exact rows, without another plan of the statement; sources stay.
func TestExactSinks(t *testing.T) {
	const sql = "CREATE TABLE s (id INT) WITH ('connector'='jdbc'); CREATE TABLE p (id INT) WITH ('connector'='print'); CREATE TABLE u (id INT, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector'='upsert-kafka'); INSERT INTO p SELECT id FROM s; INSERT INTO u SELECT id FROM s"
	r := rewrite(t, sql, Options{Changes: true, Exact: true})
	for _, want := range []string{"'connector' = 'flink-entrypoint-mock', 'mock.of' = 'print', 'mock.changes' = 'requested', 'print-identifier' = 'p', 'mock.exact' = 'true')",
		"'mock.changes' = '+I +U -D', 'print-identifier' = 'u', 'mock.exact' = 'true')", "WITH ('connector' = 'datagen'"} {
		if !strings.Contains(r.Parts[0].Text, want) {
			t.Errorf("found\n%s\nexpected %s", r.Parts[0].Text, want)
		}
	}
	if strings.Contains(rewrite(t, sql, Options{Changes: true}).Parts[0].Text, "mock.exact") {
		t.Error("rows for people are exact")
	}
}
