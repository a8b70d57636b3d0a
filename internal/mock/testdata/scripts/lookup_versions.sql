--! prints windowed> +I[
CREATE TABLE clicks (uid INT, page STRING, ms BIGINT, ts AS TO_TIMESTAMP_LTZ(ms, 3), pt AS PROCTIME(), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='kafka');
CREATE TABLE users (id INT, city STRING) WITH ('connector'='jdbc');
CREATE TABLE cities (name STRING, zone_id INT, PRIMARY KEY (name) NOT ENFORCED) WITH ('connector'='hbase-2.2');
CREATE TABLE windowed (w TIMESTAMP(3), city STRING, c BIGINT) WITH ('connector'='kafka');
-- A chain: the second keeps the time only because the first does.
CREATE TEMPORARY VIEW e AS
SELECT c.uid, c.page, c.ts, u.city, z.zone_id
FROM clicks AS c
LEFT JOIN users FOR SYSTEM_TIME AS OF c.pt AS u ON c.uid = u.id AND u.city <> ''
LEFT JOIN cities FOR SYSTEM_TIME AS OF c.pt AS z ON z.name = u.city;
INSERT INTO windowed SELECT window_start, city, COUNT(*) FROM TABLE(HOP(TABLE e, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end, city;
-- Selecting everything would show the additional column.
CREATE TABLE d2 (id INT, v STRING) WITH ('connector'='jdbc');
SELECT * FROM clicks AS c JOIN d2 FOR SYSTEM_TIME AS OF c.pt AS d ON c.uid = d.id;
-- A regular join in between loses the time.
CREATE TABLE d3 (id INT, v STRING) WITH ('connector'='jdbc');
CREATE TABLE other (id INT) WITH ('connector'='kafka');
SELECT c.uid, d.v FROM clicks AS c JOIN other AS o ON c.uid = o.id JOIN d3 FOR SYSTEM_TIME AS OF c.pt AS d ON c.uid = d.id;
