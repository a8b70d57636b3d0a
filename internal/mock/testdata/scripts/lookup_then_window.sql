--! prints o> +I[
CREATE TABLE k (id INT, ts TIMESTAMP(3), pt AS PROCTIME(), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH ('connector'='kafka');
CREATE TABLE d (id INT, name STRING) WITH ('connector'='jdbc');
CREATE TABLE o (w TIMESTAMP(3), name STRING, c BIGINT) WITH ('connector'='kafka');
CREATE TEMPORARY VIEW e AS SELECT k.id, k.ts, d.name FROM k LEFT JOIN d FOR SYSTEM_TIME AS OF k.pt AS d ON k.id = d.id;
INSERT INTO o SELECT window_start, name, COUNT(*) FROM TABLE(TUMBLE(TABLE e, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, name;
