//go:build flink

package sqltext

import (
	"math/rand/v2"
	"strings"
)

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// soup is a text of pieces that are near each other's borders in the lexer.
func soup(r *rand.Rand) string {
	pieces := []string{"'", "''", "`", "``", `"`, "--", "//", "/*", "/**", "/***/", "*/", "/*+", "/", "*", "-", "\n", "\r", "\r\n", "\t", "\f", " ",
		";", "a", "b1", "E'", "e'x\\'y'", "U&'", "u&'\\0041'", `U&"`, `U&"a""b"`, "N'", "_utf8'", "_x-y.z'q'", "_", "X'", "x'0a'", "$", "a$b", "a.b$c", "a-b:c$d$e", "1$a",
		"1", "1.5", ".5", "1e3", "1.e", "1e+", "..", ".", ",", "(", ")", "{", "{d", "{ ts", "{fn", "[", "]", "=", "<", ">", "<=", "<>", "!=", "=>", "||", "|", "?", ":", "%", "^",
		"中文", "é", "ⴀ", "x😀", "'中😀'", "`中`", "SELECT", "END", "case", "'a;b'", "`a'b`", "'a`b'", "/* ' */", "-- '\n", "// `\r\n", "\\", "'\\'"}
	var b strings.Builder
	for range 1 + r.IntN(12) {
		b.WriteString(pick(r, pieces...))
	}
	return b.String()
}

// trivia is what may be between two tokens.
func trivia(r *rand.Rand) string {
	switch r.IntN(24) {
	case 0:
		return "\n"
	case 1:
		return "\r\n\t"
	case 2:
		return " -- it's; a `comment\n"
	case 3:
		return " // don't; /* \"\r\n"
	case 4:
		return " /* ; ' ` -- */ "
	case 5:
		return "/** formal; ' */\n"
	case 6:
		return "\n--;\n--\n "
	case 7:
		return "/**/ \f"
	case 8:
		return "/* 中文；😀 */\r"
	default:
		return " "
	}
}

// statement is one valid statement; a blank in the templates stands for any trivia.
func statement(r *rand.Rand) string {
	name := func() string {
		return pick(r, "t", "`t 1`", "c.d.t", "`a``b`", "`;`", "`--x`", "中文表", "`d`.`select`", "t$x", "`//`")
	}
	str := func() string {
		return pick(r, "'x'", "''", "'it''s'", "'a;b'", "'--no'", "'/* no'", "'//no'", "'`'", "'line\nbreak;\n--x'", "'中文😀'", "U&'\\0041;'", "_utf8'é;'", "'END'", "'\\'")
	}
	expr := func() string {
		return pick(r, "1", "a", "`b;`", "a + 1.5e3", "CASE WHEN a = 1 THEN "+str()+" ELSE 'n' END", "CASE a WHEN 1 THEN CASE b WHEN 2 THEN 3 END END", str(), "x'0a'",
			"CAST(a AS STRING)", "f(a , b)", "a[1]", "m["+str()+"]", "INTERVAL '1' DAY", "TIMESTAMP '2020-01-01 00:00:00'", "a/b*c", "- -1", "a IS NOT NULL", "a || "+str(), "a <> 2", "N'n'", "ARRAY[1, 2]")
	}
	query := func() string {
		return pick(r,
			"SELECT "+expr()+" , "+expr()+" FROM "+name(),
			"SELECT * FROM "+name()+" /*+ OPTIONS('a;b' = 'it''s' , 'k'='*/') */ WHERE a > 1",
			"SELECT /*+ BROADCAST(t) */ a FROM t",
			"SELECT "+expr()+" AS `as` FROM ( SELECT 1 AS a ) AS s WHERE "+"a = "+expr(),
			"VALUES ( 1 , "+str()+" ) , ( 2 , 'y' )",
			"WITH w AS ( SELECT 1 AS a ) SELECT * FROM w",
			"SELECT a FROM t UNION ALL SELECT b FROM u",
			"SELECT TUMBLE_START(ts , INTERVAL '1' MINUTE) FROM t GROUP BY TUMBLE(ts , INTERVAL '1' MINUTE)",
			"SELECT * FROM t FOR SYSTEM_TIME AS OF t.p AS x")
	}
	with := func() string {
		return "WITH ( 'connector' = " + str() + " , 'k;' = " + str() + " )"
	}
	insert := func() string {
		return pick(r, "INSERT INTO "+name()+" "+query(), "INSERT OVERWRITE t PARTITION ( dt = "+str()+" ) "+query(), "INSERT INTO t ( a , b ) "+query(),
			"INSERT INTO t /*+ OPTIONS('x'='y;') */ SELECT 1")
	}
	set := func() string {
		var b strings.Builder
		for range 1 + r.IntN(3) {
			b.WriteString(" " + insert() + " ;")
		}
		return "STATEMENT SET BEGIN" + b.String() + " END"
	}
	columns := "( a INT , `b;` STRING COMMENT " + str() + " , c AS a + 1 , ts TIMESTAMP(3) , WATERMARK FOR ts AS ts - INTERVAL '5' SECOND , PRIMARY KEY ( a ) NOT ENFORCED )"
	switch r.IntN(40) {
	case 0, 1, 2, 3:
		return query()
	case 4, 5, 6, 7:
		return insert()
	case 8, 9, 10:
		return "EXECUTE " + set()
	case 11:
		return "EXPLAIN " + pick(r, "", "PLAN FOR ", "ESTIMATED_COST , CHANGELOG_MODE ") + pick(r, query(), insert())
	case 12:
		return "EXPLAIN " + set()
	case 13:
		return "COMPILE PLAN " + "'file:/x'" + " IF NOT EXISTS FOR " + pick(r, insert(), set())
	case 14:
		return pick(r, "EXECUTE PLAN '/x.json'", "COMPILE AND EXECUTE PLAN '/x' FOR "+insert(), "EXECUTE "+insert(), "EXECUTE "+query())
	case 15, 16, 17:
		return "CREATE " + pick(r, "", "TEMPORARY ") + "TABLE " + pick(r, "", "IF NOT EXISTS ") + name() + " " + columns + " COMMENT " + str() + " PARTITIONED BY ( a ) " + with()
	case 18:
		return "CREATE TABLE " + name() + " " + with() + " LIKE " + name() + " ( EXCLUDING OPTIONS INCLUDING ALL )"
	case 19:
		return "CREATE TABLE " + name() + " " + with() + " AS " + query()
	case 20:
		return "CREATE " + pick(r, "", "TEMPORARY ") + "VIEW v ( a , b ) COMMENT " + str() + " AS " + query()
	case 21:
		return "CREATE CATALOG `c;` " + with()
	case 22:
		return "CREATE DATABASE IF NOT EXISTS d COMMENT " + str() + " " + with()
	case 23:
		return pick(r, "CREATE TEMPORARY SYSTEM FUNCTION f AS "+"'a.B'", "CREATE FUNCTION c.d.f AS 'a.B' LANGUAGE JAVA USING JAR '/x;y.jar' , JAR '/z.jar'")
	case 24:
		return "SET 'k;' = " + str()
	case 25:
		return pick(r, "SET", "RESET", "RESET "+str())
	case 26:
		return pick(r, "USE CATALOG `c;`", "USE c.d", "USE MODULES a , b")
	case 27:
		return pick(r, "LOAD MODULE hive WITH ( 'hive-version' = "+str()+" )", "UNLOAD MODULE hive", "ADD JAR "+str(), "REMOVE JAR "+str())
	case 28:
		return pick(r, "SHOW TABLES", "SHOW CREATE TABLE "+name(), "SHOW FULL MODULES", "SHOW JARS", "SHOW TABLES FROM d LIKE "+str(), "SHOW JOBS")
	case 29:
		return pick(r, "DESCRIBE "+name(), "DESC t", "CALL c.p ( 1 , "+str()+" )", "STOP JOB '0a' WITH SAVEPOINT", "ANALYZE TABLE t COMPUTE STATISTICS FOR ALL COLUMNS", "TRUNCATE TABLE t")
	case 30:
		return pick(r, "DROP TABLE IF EXISTS "+name(), "DROP VIEW v", "DROP TEMPORARY SYSTEM FUNCTION IF EXISTS f", "DROP CATALOG c", "DROP DATABASE d CASCADE")
	case 31:
		return pick(r, "ALTER TABLE "+name()+" SET ( 'a' = "+str()+" )", "ALTER TABLE t RENAME TO u", "ALTER TABLE t ADD ( x INT COMMENT "+str()+" )", "ALTER VIEW v AS "+query(), "ALTER TABLE t RESET ( 'a' )")
	case 32:
		return pick(r, "UPDATE t SET a = "+expr()+" WHERE b = 1", "DELETE FROM t WHERE a = "+expr())
	case 33:
		return "BEGIN STATEMENT SET ; " + insert() + " ; " + insert() + " ; END"
	case 34:
		return "CREATE MATERIALIZED TABLE m PARTITIONED BY ( a ) " + with() + " FRESHNESS = INTERVAL '1' DAY REFRESH_MODE = FULL AS " + query()
	case 35:
		return "CREATE MODEL m INPUT ( a STRING ) OUTPUT ( b STRING ) " + with()
	case 36:
		return "CREATE OR REPLACE TABLE " + name() + " " + with() + " AS " + query()
	case 37:
		return "( " + query() + " )"
	case 38:
		return "SELECT * FROM t MATCH_RECOGNIZE ( PARTITION BY a ORDER BY ts MEASURES B.x AS y ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW PATTERN ( A B+ C{2,3}? ) DEFINE B AS B.x > 1 )"
	default:
		return insert()
	}
}

// roughen replaces blanks outside of quotes by any trivia, and changes the case of words.
func roughen(r *rand.Rand, s string) string {
	var b strings.Builder
	quote := byte(0)
	hint := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
			b.WriteByte(c)
		case c == '\'' || c == '`':
			quote = c
			b.WriteByte(c)
		case c == ' ' && !hint:
			b.WriteString(trivia(r))
		default:
			if strings.HasPrefix(s[i:], "/*+") {
				hint = true
			}
			if strings.HasPrefix(s[i:], "*/") {
				hint = false
			}
			b.WriteByte(c)
		}
	}
	return b.String()
}

// scripts are scripts of 1 to 5 statements.
func scripts(r *rand.Rand, n int) []string {
	out := make([]string, 0, n)
	for len(out) < n {
		var b strings.Builder
		if r.IntN(3) == 0 {
			b.WriteString(trivia(r))
		}
		statements := 1 + r.IntN(5)
		for i := range statements {
			b.WriteString(roughen(r, statement(r)))
			if i < statements-1 || r.IntN(2) == 0 {
				b.WriteString(pick(r, ";", " ;", "\n;\n", ";;", "/* x */;", "-- y\n;", "; ;"))
			}
			b.WriteString(trivia(r))
		}
		out = append(out, b.String())
	}
	return out
}

// setSoup is a text near the forms of SET and RESET.
func setSoup(r *rand.Rand) string {
	var b strings.Builder
	b.WriteString(pick(r, "SET", "set", "Set", "RESET", "reset"))
	pieces := []string{" ", " ", "\n", "\t", "=", "=", " = ", "k", "a.b-c", "v", "10 s", "'v'", "'x y'", "'it''s'", "''", "'k'", "'k' = 'v'", "k=v", "hdfs://a/b", "s3://b", "#", "@x", "--", "U&'\\0041'", "E'\\n'",
		"中", "'a;b'", "==", "\"q\"", "/", "1", "N'n'", "_utf8'z'", "\r\n"}
	b.WriteString(pick(r, " ", " ", " ", "  ", "\n", ""))
	for range r.IntN(7) {
		b.WriteString(pick(r, pieces...))
	}
	if r.IntN(4) == 0 {
		b.WriteString(pick(r, ";", " ;", "; "))
	}
	return b.String()
}

// literalSoup is a string literal with escapes, well formed or not.
func literalSoup(r *rand.Rand, d Dialect) string {
	kind := r.IntN(4)
	if kind == 3 && !d.CStyleEscapes {
		kind = 0
	}
	var b strings.Builder
	pieces := []string{"a", "''", "\\", "\\\\", "\n", " ", "中", "😀", "0041", "+", "!"}
	prefix, suffix := "'", "'"
	switch kind {
	case 1:
		prefix = "U&'"
		pieces = append(pieces[:2:2], "x", "\\\\", "\\0041", "\\4e2d", "\\d83d\\de00", "\\+01f600", "\\+000041", "\\0009", "\\0", " ", "é", "\\FFFD", "''")
	case 2:
		prefix, suffix = "U&'", "' UESCAPE '!'"
		pieces = []string{"a", "''", "!0041", "!!", "\\", "!4E2D", "!+01F600", "中", "!9"}
	case 3:
		prefix = "E'"
		pieces = []string{"a", "''", "\\'", "\\\\", "\\n", "\\t", "\\b", "\\f", "\\r", "\\x41", "\\x4", "\\x", "\\xe9", "\\u0041", "\\u4e2d", "\\U0001F600", "\\101", "\\1", "\\12", "\\377", "\\400", "\\8", "\\q", "\\\"", "中", "😀", "1", "f", " "}
	}
	b.WriteString(prefix)
	for range r.IntN(6) {
		b.WriteString(pick(r, pieces...))
	}
	b.WriteString(suffix)
	if kind < 2 && r.IntN(6) == 0 {
		b.WriteString(pick(r, " ", "\n", " -- c\n") + pick(r, "'more'", "''", "'it''s'"))
	}
	return b.String()
}

// handwrittenTexts are texts for the lexer alone.
func handwrittenTexts() []string {
	return []string{"", " ", "a E'x\\'y' b", "/***/ a */ b", "/****/ a", "/**/a", "/**", "/*", "/*+", "/*+ a('*/') */", `"it's" x'`, `U&"a'b" c`, "{d '2020'} {fn x} a!=b<=>c",
		"a.b-c$d e", "a--b$c d", "N'x' _utf8'x' _x-y.z'x' X'zz' x'0a'", "1.5e3 .5 1..2 a=>b a->b a::b", "$ $1 a$b", "`a``b`", "``", "a\rb\r\nc\n\rd", "'a\r\nb' c", "'😀' x", "\ufeff", "a\ufeff",
		"'a''", "E'a\\", "e'a''", "u&'a' 'b'", "-- only", "--\r\n--\rx", "x--y\nz", "1--1\n2", "1e5e 1e+5 1e+ 1.e5", "_a'b' _'b' __a'b' _1'x' _a$b'x'", "a\u00a0b", "a；b", "“a”", "`a\nb`", "{ d { ts {x", "a.$b c.$d$e", "a$b$c:d$e", "é.x$y", "٣$a ٣"}
}

// handwrittenScripts are scripts that a user would write, or that went wrong somewhere.
func handwrittenScripts() []string {
	return []string{
		"SELECT 1", "SELECT 1;", "SELECT 1;;;SELECT 2", "SELECT 1;\r\nSELECT 2;\r\n", "SELECT 1 -- a; b\n; SELECT 2", "SELECT 'a;b'; SELECT 2",
		"EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; END; SELECT 1",
		"EXECUTE STATEMENT SET\nBEGIN\n  INSERT INTO a SELECT CASE WHEN 1=1 THEN 1 END; -- END;\n  INSERT INTO `END` SELECT 'END;' ; /* END */ END",
		"BEGIN STATEMENT SET; INSERT INTO a SELECT 1; END;",
		"EXPLAIN STATEMENT SET BEGIN INSERT INTO a SELECT 1; INSERT INTO b SELECT CASE WHEN 1=1 THEN 1 END; END; SELECT 2;",
		"COMPILE PLAN 'f' FOR STATEMENT SET BEGIN INSERT INTO a SELECT 1; END; SELECT 1",
		"CREATE TABLE t (a INT) WITH ('connector'='datagen'); INSERT INTO s SELECT * FROM t;",
		"CREATE TABLE k (`order` STRING, ts AS PROCTIME()) WITH ('properties.sasl.jaas.config' = 'org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"p;''\";');\nSELECT * FROM k",
		"CREATE TABLE t WITH ('a' = '-----BEGIN X-----\nabc;\n-----END X-----\n'); SELECT 1",
		"SELECT * FROM t /*+ OPTIONS('scan.startup.mode'='latest-offset') */; SELECT 2",
		"SELECT a / /* c */ b FROM t; SELECT a */* c */ b FROM t",
		"SELECT /***/ 1 /* */ ; SELECT 2", "SELECT 1 /* /* nested? */; SELECT 2",
		"SELECT 1 // it's; a comment\n; SELECT 2", "// it's\nSELECT 1; -- it's\nSELECT 2",
		"SELECT U&'a\\0009b;' ; SELECT U&'x!0041;' UESCAPE '!'", "SELECT 'a' 'b;'\n'c' ; SELECT 1",
		"SELECT E'it\\'s; fine' ; SELECT 2", "SELECT _utf8'；' ; SELECT N'x;'",
		"SELECT `a;b`, `c``;d` FROM `x;y`;SELECT 1", "SELECT 1 AS 中文; SELECT * FROM 表",
		"SET 'a' = 'b;c'; RESET 'a'; SET; RESET", "ADD JAR '/a;b.jar'; REMOVE JAR '/x.jar'",
		"CREATE FUNCTION f AS 'a.B' LANGUAGE JAVA USING JAR '/x.jar', JAR '/y.jar'; SELECT f(1);",
		"INSERT INTO t VALUES (1, 'x;'), (2, 'END'); INSERT OVERWRITE t SELECT 1",
		"WITH a AS (SELECT 1), b AS (SELECT 2) SELECT * FROM a, b; SELECT 1",
		"CREATE VIEW v AS SELECT CASE a WHEN 1 THEN 'x' END AS `case` FROM t; DROP VIEW v",
		"ALTER TABLE t SET ('a'='b;'); ALTER TABLE t RENAME TO u; ALTER DATABASE d SET ('a'='b'); DROP TABLE t",
		"CREATE CATALOG c WITH ('type'='generic_in_memory'); USE CATALOG c; USE d; USE c.d",
		"SELECT 1;   \n\n  -- the end\n", "\n\n   SELECT 1\n   ;\n", "SELECT 1; /* trailing */", "select 1;Select 2;sElEcT 3",
		"SELECT 1.;SELECT .5;SELECT 1e5;SELECT a.b.c FROM a.b", "SELECT {d '2020-01-01'}; SELECT {fn ABS(1)}",
		"SELECT a$b FROM t$; SELECT $x FROM t", "SELECT 'x' ; SELECT ''';'''; SELECT ''", "SELECT '\\'; SELECT '\\\\'",
		"SELECT 1\u00a0; SELECT 2", "SELECT 1；", "SELECT \"a\"", "SELECT 'open", "SELECT `open", "SELECT 1 /* open", "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1;", ";", "", "-- nothing",
		"SELECT 😀", "CREATE TABLE t (a INT) WITH ('x'='😀;'); SELECT 2", "STOP JOB '228d70913eab60dda85c5e7f78b5782c' WITH SAVEPOINT WITH DRAIN; SHOW JOBS; DESCRIBE t",
		"EXECUTE INSERT INTO a SELECT 1; EXECUTE SELECT 1; EXECUTE PLAN 'x'",
		"CREATE OR REPLACE TABLE t AS SELECT 1; REPLACE TABLE t AS SELECT 1; CREATE TABLE t AS SELECT 1; CREATE TABLE t (a INT)",
		"CREATE MATERIALIZED TABLE m FRESHNESS = INTERVAL '1' DAY AS SELECT 1; ALTER MATERIALIZED TABLE m SUSPEND; DROP MATERIALIZED TABLE m",
		"TRUNCATE TABLE t; ANALYZE TABLE t COMPUTE STATISTICS; CALL a.b(1, ';'); UPDATE t SET a = 1; DELETE FROM t",
	}
}
