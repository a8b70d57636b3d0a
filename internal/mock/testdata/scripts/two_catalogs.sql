--! prints db1.t> +I[
CREATE CATALOG c1 WITH ('type'='generic_in_memory', 'default-database'='db1');
CREATE CATALOG c2 WITH ('type'='generic_in_memory');
CREATE TABLE c1.db1.t (id INT) WITH ('connector'='kafka');
USE CATALOG c2;
CREATE TABLE t (id INT) WITH ('connector'='kafka');
USE c1.db1;
INSERT INTO t SELECT id FROM c2.`default`.t;
