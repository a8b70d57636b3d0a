-- Versions of a file are joined by event time.
--! data o=orders.json
--! data r=rates.json
--! prints s> +I[1, 10]
--! prints s> +I[2, 20]
CREATE TABLE o (id INT, cur STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector'='kafka');
CREATE TABLE r (cur STRING, rate INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts, PRIMARY KEY (cur) NOT ENFORCED) WITH ('connector'='upsert-kafka');
CREATE TABLE s (id INT, rate INT) WITH ('connector'='kafka');
INSERT INTO s SELECT o.id, r.rate FROM o LEFT JOIN r FOR SYSTEM_TIME AS OF o.ts ON o.cur = r.cur;
