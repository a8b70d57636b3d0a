//go:build flink

package debug

import (
	"strings"
	"testing"
)

// TestMissingCatalogs: a job of Iceberg, Paimon and Fluss where none of their jars is here, with catalogs in the definition and in the
// script. One warning for each catalog, no errors that follow from it, and rows for what the script creates.
func TestMissingCatalogs(t *testing.T) {
	eachVersion(t, func(t *testing.T, e entrypoint) {
		e.write(t, "lake.yaml", `apiVersion: flink-entrypoint/v1
name: lake
sql:
  catalogs:
    - {name: ice, options: {type: iceberg, catalog-type: hive, uri: "thrift://x:9083", default-database: main}}
    - {createStatement: "CREATE CATALOG pai WITH ('type'='paimon', 'warehouse'='s3://x', 's3.secret-key'='topsecret1')"}
  use: {catalog: ice, database: shop}
  script: |
    CREATE CATALOG flu WITH ('type'='fluss', 'bootstrap.servers'='x:9123');
    CREATE TABLE clicks (page STRING, n BIGINT);
    CREATE TABLE pai.ods.pages (page STRING, n BIGINT, PRIMARY KEY (page) NOT ENFORCED) WITH ('bucket'='4');
    INSERT INTO pai.ods.pages SELECT page, SUM(n) FROM clicks GROUP BY page;
    INSERT INTO pai.ods.pages SELECT page, 1 FROM main.visits;
    UPDATE pai.ods.pages SET n = 1 WHERE page = 'a';
    USE CATALOG flu;
    CREATE TABLE flu.fluss.t (a INT);
    SELECT * FROM t;
    SELECT * FROM pai.ods.pages FOR SYSTEM_TIME AS OF TIMESTAMP '2023-01-01 00:00:00';
    DROP TABLE IF EXISTS pai.ods.nothing;
`)
		r := e.run(t, "debug", "lake.yaml")
		r.want(t, 0, `^pages  \+I  \[.*\]$`, `catalog ice: no jar here makes a catalog of type "iceberg"`, `catalog pai: `, `catalog flu: `,
			`statement 5, line 5 is left out and not checked: main\.visits`, `statement 6, line 6 is left out and not checked: UPDATE`, `statement 10, line 10: FOR SYSTEM_TIME AS OF after pages is left out`, `10 rows in set`)
		if n := strings.Count(r.stderr, "\n"); n > 11 {
			t.Errorf("%d lines of messages:\n%s", n, r.stderr)
		}
		e.run(t, "--definition", "lake.yaml", "validate", "--engine").want(t, 0, `^valid: lake$`, `statement 5, line 5 is not checked: main\.visits`)
		e.write(t, "hive.sql", `CREATE CATALOG h WITH ('type'='hive', 'hive-conf-dir'='/etc/hive');
USE CATALOG h;
SET table.sql-dialect=hive;
CREATE TABLE t (a INT) STORED AS ORC;
SET table.sql-dialect=default;
INSERT INTO t SELECT 1;
`)
		e.run(t, "--definition", "hive.sql", "validate", "--engine").want(t, 0, `^valid: hive$`, `statement 4, line 4 is not checked: it is in Hive's dialect`)
	})
}
