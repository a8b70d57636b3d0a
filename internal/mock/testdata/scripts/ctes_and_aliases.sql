--! since 1.20
CREATE TABLE orders (id INT, uid INT, amount DOUBLE, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector'='kafka');
CREATE TABLE usr (uid INT, name STRING) WITH ('connector'='kafka');
CREATE TABLE o (name STRING, total DOUBLE) WITH ('connector'='kafka');
INSERT INTO o
WITH orders AS (SELECT * FROM orders WHERE amount > 0), u (k, nm) AS (SELECT uid, name FROM usr)
SELECT u.nm, SUM(o.amount) FROM orders o, u WHERE o.uid = u.k AND o.id IN (SELECT id FROM orders) GROUP BY u.nm;
SELECT EXTRACT(YEAR FROM ts), TRIM(BOTH 'x' FROM 'xax'), id IS DISTINCT FROM uid, SUBSTRING('abc' FROM 2 FOR 1) FROM orders;
SELECT * FROM (SELECT id FROM orders UNION ALL SELECT uid FROM usr) t JOIN (usr AS x JOIN orders AS y ON x.uid = y.uid) ON t.id = x.uid;
SELECT o.id, w.v FROM orders AS o CROSS JOIN UNNEST(ARRAY[1, 2]) AS w (v);
VALUES (1, 'a');
