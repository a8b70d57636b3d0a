--! since 1.16
--! prints agg> +I[
CREATE TABLE s (id INT, k STRING) WITH ('connector'='kafka');
CREATE TABLE agg WITH ('connector'='upsert-kafka', 'topic'='x') AS SELECT k, COUNT(*) AS c FROM s GROUP BY k;
CREATE TABLE copy AS SELECT id FROM s;
INSERT INTO agg SELECT k, CAST(1 AS BIGINT) FROM s;
