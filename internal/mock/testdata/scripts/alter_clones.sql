-- ALTER TABLE changes both sides of a table; metadata that it adds becomes an ordinary column.
--! since 1.17
--! prints t2> +I[
--! prints s> +I[
--! prints c> +I[
CREATE TABLE t (a INT) WITH ('connector'='kafka');
ALTER TABLE t ADD (b STRING,
  off BIGINT METADATA FROM 'offset' VIRTUAL);
ALTER TABLE t MODIFY b BIGINT COMMENT 'ü';
INSERT INTO t SELECT a, b FROM t WHERE off IS NOT NULL;
CREATE TABLE src (a INT) WITH ('connector'='kafka');
ALTER TABLE src ADD (off BIGINT METADATA FROM 'offset' VIRTUAL, ts TIMESTAMP(3) METADATA FROM 'timestamp', WATERMARK FOR ts AS ts);
CREATE TABLE s (a INT) WITH ('connector'='kafka');
ALTER TABLE s ADD off BIGINT METADATA FROM 'offset' FIRST;
INSERT INTO s SELECT off, a FROM src;
CREATE TABLE c WITH ('connector'='kafka') AS SELECT a FROM src;
ALTER TABLE c ADD b INT;
INSERT INTO c SELECT a, b FROM c;
DROP TABLE c;
CREATE DATABASE db;
USE db;
ALTER TABLE default_database.t DROP b;
ALTER TABLE default_database.t RENAME TO default_database.t2;
INSERT INTO default_database.t2 SELECT a FROM default_database.t2;
DROP TABLE default_database.t2;
CREATE TABLE l (a INT, m INT METADATA) WITH ('connector'='kafka');
CREATE TABLE l2 LIKE l (EXCLUDING METADATA);
DROP TABLE l;
CREATE TABLE l (a INT, m INT METADATA) WITH ('connector'='kafka');
CREATE TABLE l3 LIKE l (EXCLUDING METADATA);
