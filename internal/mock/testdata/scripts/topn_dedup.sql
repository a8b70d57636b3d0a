--! before 2.3
CREATE TABLE s (id INT, cat STRING, sales BIGINT, pt AS PROCTIME()) WITH ('connector'='kafka');
CREATE TABLE o (cat STRING, id INT, sales BIGINT, PRIMARY KEY (cat, id) NOT ENFORCED) WITH ('connector'='upsert-kafka');
INSERT INTO o SELECT cat, id, sales FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY cat ORDER BY sales DESC) AS rn FROM s) WHERE rn <= 5;
INSERT INTO o SELECT cat, id, sales FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY pt ASC) AS rn FROM s) WHERE rn = 1;
