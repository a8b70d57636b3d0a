--! prints mine> +I[5
CREATE TABLE s (a INT, b STRING) WITH ('connector'='datagen', 'rows-per-second'='1', 'fields.a.min'='5', 'fields.a.max'='5', 'fields.b.length'='2');
CREATE TABLE o (a INT, b STRING) WITH ('connector'='print', 'print-identifier'='mine', 'standard-error'='true');
CREATE TABLE bh (a INT) WITH ('connector'='blackhole');
INSERT INTO o SELECT a, b FROM s;
INSERT INTO bh SELECT a FROM s;
