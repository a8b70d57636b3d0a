-- Clones of tables that are used from another database or catalog than they were named in.
--! since 1.16
--! prints db1.t> +I[
--! prints d1.t> +I[
--! prints l2> +I[
CREATE DATABASE db1;
USE db1;
CREATE TABLE t (a INT, b STRING, p BIGINT METADATA FROM 'offset' VIRTUAL) WITH ('connector'='kafka');
CREATE TABLE l (a INT, m INT METADATA VIRTUAL) WITH ('connector'='kafka');
USE default_database;
CREATE TABLE u (a INT, b STRING) WITH ('connector'='kafka');
INSERT INTO db1.t SELECT a, b FROM db1.t;
INSERT INTO db1.t (b, a) SELECT b, a FROM u;
CREATE TABLE l2 LIKE db1.l (EXCLUDING METADATA);
INSERT INTO l2 SELECT a FROM u;
CREATE CATALOG c1 WITH ('type'='generic_in_memory', 'default-database'='d1');
CREATE TABLE c1.d1.t (a INT) WITH ('connector'='kafka');
USE CATALOG c1;
INSERT INTO t SELECT a FROM t;
CREATE TABLE ct WITH ('connector'='kafka') AS SELECT a FROM t;
USE CATALOG default_catalog;
INSERT INTO c1.d1.t SELECT a FROM c1.d1.ct;
DROP TABLE c1.d1.t;
DROP TABLE c1.d1.ct;
CREATE TABLE c1.d1.t (a INT) WITH ('connector'='kafka');
INSERT INTO c1.d1.t SELECT a FROM c1.d1.t;
