CREATE TABLE k (id INT, v INT) WITH ('connector'='kafka');
CREATE TABLE dim (id INT, name STRING, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector'='hbase-2.2');
CREATE TABLE o (id INT, name STRING) WITH ('connector'='elasticsearch-7');
INSERT INTO o SELECT k.id, d.name FROM (SELECT *, PROCTIME() AS p FROM k) AS k JOIN dim /*+ OPTIONS('lookup.async'='true') */ FOR SYSTEM_TIME AS OF k.p AS d ON k.id = d.id;
