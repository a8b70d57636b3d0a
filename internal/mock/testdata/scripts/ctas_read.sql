--! since 1.16
--! prints step> +I[
CREATE TABLE s (id INT, k STRING) WITH ('connector'='kafka');
CREATE TABLE step WITH ('connector'='kafka') AS SELECT k, id FROM s;
CREATE TABLE o (k STRING, c BIGINT) WITH ('connector'='kafka');
INSERT INTO o SELECT k, COUNT(*) FROM step GROUP BY k;
DROP TABLE step;
