-- A temporary table hides a permanent one of its name until it is dropped.
--! prints s> +I[
--! prints t> +I[
CREATE TABLE t (a INT) WITH ('connector'='kafka');
CREATE TABLE s (a INT) WITH ('connector'='kafka');
CREATE TABLE s2 (a INT) WITH ('connector'='kafka');
DROP TEMPORARY TABLE IF EXISTS t;
CREATE TEMPORARY TABLE IF NOT EXISTS t (a INT) WITH ('connector'='kafka');
INSERT INTO s SELECT * FROM t;
DROP TEMPORARY TABLE t;
INSERT INTO t SELECT * FROM s2;
CREATE TEMPORARY VIEW v AS SELECT a FROM s2;
CREATE TABLE v (a INT) WITH ('connector'='kafka');
INSERT INTO s SELECT * FROM v;
DROP TEMPORARY VIEW v;
INSERT INTO v SELECT * FROM s2;
CREATE TABLE rw (a INT) WITH ('connector'='kafka');
INSERT INTO rw SELECT a FROM rw;
CREATE TEMPORARY TABLE rw (a BIGINT) WITH ('connector'='kafka');
INSERT INTO rw SELECT a FROM rw;
DROP TEMPORARY TABLE rw;
INSERT INTO rw SELECT a FROM rw;
