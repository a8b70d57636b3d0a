--! seed 7
CREATE TABLE s (id INT, name STRING, amount DOUBLE, price DECIMAL(10,2), ts BIGINT, status TINYINT, c CHAR(2), f FLOAT, r ROW<id INT>, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector'='kafka');
SELECT id, name, amount, ts, status, f FROM s;
