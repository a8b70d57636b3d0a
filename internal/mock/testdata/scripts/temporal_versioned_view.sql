CREATE TABLE orders (id INT, cur INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector'='kafka');
CREATE TABLE h (cur INT, rate DOUBLE, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector'='kafka');
CREATE VIEW rates AS SELECT cur, rate, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY cur ORDER BY ts DESC) AS n FROM h) WHERE n = 1;
SELECT o.id, r.rate FROM orders AS o LEFT JOIN rates FOR SYSTEM_TIME AS OF o.ts AS r ON o.cur = r.cur;
