--! prints tumbling> +I[
--! prints sessions> +I[
--! prints hopping> +I[
CREATE TABLE c (page STRING, n INT, pt AS PROCTIME()) WITH ('connector'='kafka');
CREATE TABLE other (page STRING, m INT, `the time` AS PROCTIME(), ts TIMESTAMP(3)) WITH ('connector'='kafka');
CREATE TABLE tumbling (w TIMESTAMP(3), page STRING, n BIGINT) WITH ('connector'='kafka');
CREATE TABLE sessions (w TIMESTAMP(3), page STRING, n BIGINT) WITH ('connector'='jdbc');
CREATE TABLE hopping (w TIMESTAMP(3), n BIGINT) WITH ('connector'='jdbc');
CREATE VIEW v AS SELECT page, n, pt FROM c WHERE n > 0;
INSERT INTO tumbling SELECT window_start, page, COUNT(*) FROM TABLE(TUMBLE(TABLE c, DESCRIPTOR(pt), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, page;
INSERT INTO sessions SELECT SESSION_START(v.pt, INTERVAL '10' MINUTE), page, COUNT(*) FROM v GROUP BY SESSION(v.pt, INTERVAL '10' MINUTE), page;
INSERT INTO hopping SELECT window_start, COUNT(*) FROM TABLE(HOP(TABLE other, DESCRIPTOR(`the time`), INTERVAL '1' DAY, INTERVAL '2' DAY)) GROUP BY window_start, window_end;
SELECT c.page, n, m FROM c JOIN other ON c.page = other.page AND c.pt BETWEEN other.`the time` - INTERVAL '1' HOUR AND other.`the time`;
SELECT page, COUNT(*) OVER (PARTITION BY page ORDER BY pt) FROM c;
SELECT page, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY page ORDER BY pt) AS r FROM c) WHERE r = 1;
