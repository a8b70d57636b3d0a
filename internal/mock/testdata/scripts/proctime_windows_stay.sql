CREATE TABLE c (page STRING, n INT, pt AS PROCTIME()) WITH ('connector'='kafka');
CREATE TABLE dim (page STRING, title STRING) WITH ('connector'='jdbc');
CREATE TABLE tumbling (w TIMESTAMP(3), title STRING, n BIGINT) WITH ('connector'='kafka');
CREATE TABLE inline (n BIGINT) WITH ('connector'='kafka');
INSERT INTO tumbling
SELECT TUMBLE_START(pt, INTERVAL '1' MINUTE), title, COUNT(*)
FROM (SELECT c.pt, dim.title FROM c LEFT JOIN dim FOR SYSTEM_TIME AS OF c.pt ON c.page = dim.page)
GROUP BY
  TUMBLE(pt, INTERVAL '1' MINUTE), title;
INSERT INTO inline SELECT COUNT(*) FROM (SELECT *, PROCTIME() AS now1 FROM dim) GROUP BY TUMBLE(now1, INTERVAL '1' MINUTE);
