//go:build flink

package debug

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// shop compiles a catalog that has tables of its own, and returns its jar.
func (e entrypoint) shop(t *testing.T) string {
	t.Helper()
	classes, jar := t.TempDir(), filepath.Join(t.TempDir(), "shop.jar")
	services := filepath.Join(classes, "META-INF", "services")
	if err := os.MkdirAll(services, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(services, "org.apache.flink.table.factories.Factory"), []byte("ShopCatalogFactory\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{
		{"javac", "-nowarn", "-Xlint:none", "--release", "8", "-cp", filepath.Join(e.home, "lib", "*"), "-d", classes, "testdata/ShopCatalogFactory.java"},
		{"jar", "cf", jar, "-C", classes, "."},
	} {
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", words[0], err, out)
		}
	}
	return jar
}

// TestTablesOfACatalog: the catalog is asked what its tables are, so that columns of metadata, keys and watermarks are
// replaced as they are in a script, below views of the catalog too; and nothing is changed in it.
func TestTablesOfACatalog(t *testing.T) {
	eachVersion(t, func(t *testing.T, e entrypoint) {
		definition := "apiVersion: flink-entrypoint/v1\nname: shop\nartifacts: [{uri: \"file://" + e.shop(t) + "\", to: usrlib}]\nsql: {scriptUri: \"file://" + filepath.Join(e.dir, "shop.sql") + "\"}\n"
		e.write(t, "shop.yaml", definition)
		script := `CREATE CATALOG shop WITH ('type' = 'shop', 'journal' = '` + filepath.Join(e.dir, "journal") + `');
CREATE DATABASE IF NOT EXISTS shop.archive;
USE CATALOG shop;
CREATE TABLE big_orders (name STRING, total DECIMAL(10, 2)) WITH ('connector' = 'jdbc');
CREATE TABLE late_orders WITH ('connector' = 'kafka') LIKE orders (EXCLUDING CONSTRAINTS);
CREATE VIEW per_minute AS SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(` + "`at`" + `), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;
CREATE TABLE minutes (w TIMESTAMP(3), n BIGINT) WITH ('connector' = 'kafka');
INSERT INTO big_orders SELECT customer, amount FROM paid;
INSERT INTO minutes SELECT * FROM per_minute;
INSERT INTO orders SELECT id, customer, amount, ` + "`at`" + ` FROM late_orders;
DROP TABLE IF EXISTS orders;
`
		e.write(t, "shop.sql", script)
		r := e.run(t, "debug", "--rows", "7", "shop.yaml")
		r.want(t, 0, `^big_orders  \+I  \[.*, \d+\.\d\d\]$`, `^minutes     \+I  \[20\d\d-.*, \d\]$`, `^orders      \+I  \[\d+, .*, \d+\.\d\d, 20\d\d-.*\]$`,
			`statement 2, line 2: CREATE DATABASE is left out`, `statement 11, line 11: DROP TABLE is left out`)
		if n := len(regexp.MustCompile(`(?m)^orders +\+I`).FindAllString(r.stdout, -1)); n != 7 {
			t.Errorf("orders got %d rows, want 7\n%s", n, r.stdout)
		}

		e.write(t, "bad.sql", strings.Replace(script, "SELECT customer, amount FROM paid", "SELECT customer, amout FROM paid", 1)+
			"UPDATE orders SET amount = 0 WHERE id = 1;\nINSERT INTO nowhere SELECT 1;\n")
		e.write(t, "bad.yaml", strings.Replace(definition, "shop.sql", "bad.sql", 1))
		e.run(t, "--definition", "bad.yaml", "validate", "--engine").want(t, 26,
			`bad\.sql:8:41: statement 8: Column 'amout' not found in any table`, `bad\.sql:13:\d+: statement 13: Cannot find table '.shop.*nowhere.'`, `^error: 2 errors in the script`,
			`no jar of the connector "kafka"`, `statement 12, line 12 is not checked: UPDATE`)

		for _, out := range []string{r.stdout, r.stderr} {
			if strings.Contains(out, "canary") {
				t.Errorf("a password of the catalog's table is shown:\n%s", out)
			}
		}
		if journal, err := os.ReadFile(filepath.Join(e.dir, "journal")); err == nil {
			t.Errorf("the catalog was changed:\n%s", journal)
		}
		if left := e.left(t); len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
	})
}
