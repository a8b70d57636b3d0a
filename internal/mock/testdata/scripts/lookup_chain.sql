--! since 1.19
CREATE TABLE k (id INT, u INT, pt AS PROCTIME()) WITH ('connector'='kafka');
CREATE TABLE d1 (id INT, a STRING) WITH ('connector'='jdbc');
CREATE TABLE d2 (id INT, b STRING) WITH ('connector'='redis');
CREATE TABLE o (id INT, a STRING, b STRING) WITH ('connector'='doris');
INSERT INTO o
SELECT /*+ LOOKUP('table'='x', 'async'='true'), STATE_TTL('k' = '1h') */ k.id, x.a, y.b
FROM k
LEFT JOIN d1 FOR SYSTEM_TIME AS OF k.pt AS x ON k.id = x.id
LEFT JOIN d2 FOR SYSTEM_TIME AS OF k.pt AS y ON k.u = y.id AND y.b <> 'zz';
