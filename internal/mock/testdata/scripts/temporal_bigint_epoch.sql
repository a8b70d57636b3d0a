CREATE TABLE orders (id INT, cur INT, ms BIGINT, ts AS TO_TIMESTAMP_LTZ(ms, 3), WATERMARK FOR ts AS ts) WITH ('connector'='kafka');
CREATE TABLE rates (cur INT, rate DOUBLE, sec BIGINT, ts AS TO_TIMESTAMP_LTZ(sec, 0), WATERMARK FOR ts AS ts, PRIMARY KEY (cur) NOT ENFORCED) WITH ('connector'='kafka', 'format'='debezium-json');
SELECT o.id, r.rate FROM orders o JOIN rates FOR SYSTEM_TIME AS OF o.ts AS r ON o.cur = r.cur;
