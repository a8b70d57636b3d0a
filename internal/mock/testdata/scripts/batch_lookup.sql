--! since 1.16
--! batch
CREATE TABLE s (id INT, pt AS PROCTIME()) WITH ('connector'='filesystem');
CREATE TABLE dim (id INT, name STRING, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector'='jdbc');
CREATE TABLE o (id INT, name STRING) WITH ('connector'='jdbc');
INSERT INTO o SELECT s.id, d.name FROM s LEFT JOIN dim FOR SYSTEM_TIME AS OF s.pt AS d ON s.id = d.id;
SELECT /*+ BROADCAST(dim) */ s.id, dim.name FROM s JOIN dim ON s.id = dim.id;
