package document

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"flink-entrypoint/internal/platform/api"
	"flink-entrypoint/internal/platform/store"
)

func prepared(t *testing.T, name, source string) api.Faults {
	t.Helper()
	_, err := Prepare(name, []byte(source), Known{
		Catalog:  func(string) (store.Catalog, error) { return store.Catalog{}, store.ErrNotFound },
		Clusters: func() ([]string, error) { return []string{"shared"}, nil },
	})
	var faults api.Faults
	if err != nil && !errors.As(err, &faults) {
		t.Fatalf("%v\n%s", err, source)
	}
	return faults
}

const head = "apiVersion: flink-entrypoint/v1\nname: x\n"

// TestSecretsAreRefused: a literal under a key that Flink calls sensitive is refused in each place that a definition has, at its place, and the fault
// does not repeat it.
func TestSecretsAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, source string
		want         []string // LINE:COLUMN PATH KEY
	}{
		{"flat", head + "configuration:\n  a: b\n  s3.secret-key: hunter2\n", []string{"5:1 configuration.s3.secret-key s3.secret-key"}},
		{"nested", head + "configuration:\n  s3:\n    secret-key: hunter2\n    access-key: a\n", []string{"5:1 configuration.s3.secret-key s3.secret-key"}},
		{"nested deeply", head + "configuration:\n  fs:\n    azure:\n      account:\n        key:\n          store.blob: hunter2\n", []string{"8:1 configuration.fs.azure.account.key.store.blob fs.azure.account.key.store.blob"}},
		{"quoted", head + "configuration:\n  \"s3.secret-key\": hunter2\n  's3.x.password': hunter2\n", []string{"4:1 configuration.s3.secret-key s3.secret-key", "5:1 configuration.s3.x.password s3.x.password"}},
		{"capitals", head + "configuration: {My.PassWord: hunter2}\n", []string{"3:1 configuration.My.PassWord My.PassWord"}},
		{"a number", head + "configuration: {my.token: 123456}\n", []string{"3:1 configuration.my.token my.token"}},
		{"a list", head + "configuration: {my.api-key: [hunter2, x]}\n", []string{"3:1 configuration.my.api-key my.api-key"}},
		{"a list that has one", head + "configuration:\n  my.api-key: [hunter2, {fromEnv: A}]\n", []string{"4:1 configuration.my.api-key my.api-key"}},
		{"JSON", `{"apiVersion":"flink-entrypoint/v1","name":"x","configuration":{"s3":{"secret-key":"hunter2"}}}`, []string{"1:1 configuration.s3.secret-key s3.secret-key"}},
		{"an anchor", head + "x-a: &a hunter2\nconfiguration:\n  my.secret: *a\n", []string{"5:1 configuration.my.secret my.secret"}},
		{"a variable of pods", head + "configuration:\n  containerized.master.env.AWS_SECRET_ACCESS_KEY: hunter2\n  kubernetes.env.DB_PASSWORD: hunter2\n",
			[]string{"4:1 configuration.containerized.master.env.AWS_SECRET_ACCESS_KEY containerized.master.env.AWS_SECRET_ACCESS_KEY", "5:1 configuration.kubernetes.env.DB_PASSWORD kubernetes.env.DB_PASSWORD"}},
		{"options of Java", head + "configuration:\n  env.java.opts.all: -Da=b -Djavax.net.ssl.keyStorePassword=hunter2\n", []string{"4:1 configuration.env.java.opts.all javax.net.ssl.keyStorePassword"}},
		{"arguments", head + "jar:\n  uri: a.jar\n  args: [--user, ann, --password, hunter2, '--token=hunter2', --password, {fromEnv: A}]\n", []string{"5:1 jar.args[3] jar.args[3]", "5:1 jar.args[4] jar.args[4]"}},
		{"sql.set", head + "sql:\n  set:\n    table.x.password: hunter2\n  script: SELECT 1\n", []string{"5:1 sql.set.table.x.password table.x.password"}},
		{"modules", head + "sql:\n  modules: [{name: m, options: {password: hunter2}}]\n  script: SELECT 1\n", []string{"4:1 sql.modules[0].options.password password"}},
		{"options of catalogs", head + "sql:\n  catalogs:\n    - name: ods\n      options: {type: jdbc, Password: hunter2}\n  script: SELECT 1\n", []string{"6:1 sql.catalogs[0].options.Password Password"}},
		{"createStatement", head + "sql:\n  catalogs:\n    - createStatement: |\n        CREATE CATALOG a WITH ('type'='jdbc',\n          'password'='hunter2', 'token'='${fromEnv:T}')\n  script: SELECT 1\n",
			[]string{"7:1 sql.catalogs[0].createStatement password"}},
		{"CREATE TABLE", head + "sql:\n  script: |\n    CREATE TABLE t (i INT) WITH (\n      'connector' = 'jdbc', 'password' = 'hunter2');\n    INSERT INTO t SELECT 1;\n", []string{"6:29 sql.script password"}},
		{"SET", head + "sql:\n  script: |\n    SET 'x.password' = 'hunter2';\n    SET y.password=hunter2;\n    INSERT INTO t SELECT 1;\n", []string{"5:5 sql.script x.password", "6:5 sql.script y.password"}},
		{"a hint", head + "sql:\n  script: |\n    INSERT INTO t SELECT * FROM s /*+ OPTIONS('Password'='hunter2') */;\n", []string{"5:47 sql.script Password"}},
		{"a hint with identifiers", head + "sql:\n  script: |\n    INSERT INTO t SELECT * FROM s /*+ OPTIONS(`password`='hunter2', token = 'hunter2') */;\n", []string{"5:47 sql.script password", "5:69 sql.script token"}},
		{"a catalog of a script", head + "sql:\n  script: |\n    CREATE CATALOG c WITH ('type'='jdbc','password'='hunter2');\n    INSERT INTO c.d.t SELECT 1;\n", []string{"5:42 sql.script password"}},
		{"ALTER TABLE", head + "sql:\n  script: |\n    ALTER TABLE t SET ('password'='hunter2');\n    INSERT INTO t SELECT 1;\n", []string{"5:24 sql.script password"}},
		{"in pieces", head + "sql:\n  script: |\n    CREATE TABLE t (i INT) WITH ('pass' /* x */ 'word' = 'hunt' 'er2');\n    INSERT INTO t SELECT 1;\n", []string{"5:34 sql.script password"}},
		{"with escapes", head + "sql:\n  script: |\n    CREATE TABLE t (i INT) WITH (U&'\\0070assword' = 'hunter2');\n    INSERT INTO t SELECT 1;\n", []string{"5:34 sql.script password"}},
		{"inside a statement set", head + "sql:\n  script: |\n    EXECUTE STATEMENT SET BEGIN\n    INSERT INTO t SELECT * FROM s /*+ OPTIONS('token'='hunter2') */;\n    END;\n", []string{"6:47 sql.script token"}},
		{"a session cluster's job", head + "x-platform: {cluster: session shared}\nsql:\n  script: |\n    CREATE TABLE t (i INT) WITH ('password'='hunter2');\n    INSERT INTO t SELECT 1;\n", []string{"6:34 sql.script password"}},
	} {
		var got []string
		for _, f := range prepared(t, "x.yaml", c.source) {
			key, ok := strings.CutSuffix(f.Message, " is a secret, and its value is written here")
			if !ok || f.Hint == "" {
				t.Errorf("%s: %+v", c.name, f)
			}
			got = append(got, fmt.Sprintf("%d:%d %s %s", f.Line, f.Column, f.Path, key))
			if strings.Contains(fmt.Sprint(f), "hunter2") {
				t.Errorf("%s: the fault repeats the secret: %+v", c.name, f)
			}
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
	if f := prepared(t, "x.sql", "\nCREATE TABLE t (i INT) WITH ('password'='hunter2');\nINSERT INTO t SELECT 1;\n"); len(f) != 1 || f[0].Line != 2 || f[0].Column != 30 {
		t.Errorf("a script alone: %+v", f)
	}
	if _, err := PrepareCluster("x.yaml", []byte(head+"configuration: {s3.secret-key: hunter2}\n")); err == nil {
		t.Error("a session cluster")
	}
	if f := CheckCatalog("ods", "CREATE CATALOG ods WITH (\n  'type'='jdbc', 'PASSWORD' = 'hunter2', 'token'='${fromFile:/t}')"); len(f) != 1 || f[0].Line != 2 || f[0].Column != 18 || f[0].Path != "PASSWORD" || strings.Contains(fmt.Sprint(f), "hunter2") {
		t.Errorf("a stored catalog: %+v", f)
	}
}

// TestWhatIsNotASecret: references, switches, and keys that only look alike in other places.
func TestWhatIsNotASecret(t *testing.T) {
	for name, source := range map[string]string{
		"references":              head + "configuration: {s3.secret-key: {fromEnv: A}, s3.access-key: a}\njar: {uri: a.jar, args: [--password, {fromFile: /p}]}\n",
		"a switch":                head + "configuration: {security.delegation.tokens.enabled: false}\n",
		"options without secrets": head + "configuration: {env.java.opts.all: -XX:+UseG1GC -Da=b}\n",
		"a column":                head + "sql: {script: \"INSERT INTO t SELECT * FROM s WHERE password = 'x'\"}\n",
		"a comment":               head + "sql: {script: \"-- 'password' = ask ann\\nINSERT INTO t SELECT 1\"}\n",
		"arguments":               head + "jar: {uri: a.jar, args: [--token-bucket, '5', --tokens, 'true']}\n",
		"a whole script":          head + "sql: {script: {fromFile: /run/secrets/job.sql}}\n",
	} {
		if f := prepared(t, "x.yaml", source); len(f) > 0 {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
