--! since 1.16
--! setup CREATE CATALOG hms WITH ('type' = 'generic_in_memory');
--! setup CREATE DATABASE hms.dwd;
--! setup CREATE TABLE hms.dwd.src (id BIGINT, name STRING, pt AS PROCTIME()) WITH ('connector'='kafka');
--! setup CREATE TABLE hms.dwd.dim (id BIGINT, city STRING) WITH ('connector'='kafka');
--! setup CREATE TABLE hms.dwd.dwd_out (id BIGINT, name STRING, dt STRING) PARTITIONED BY (dt) WITH ('connector'='kafka');
--! setup CREATE TABLE hms.dwd.again (id BIGINT) WITH ('connector'='kafka');
--! prints dwd_out:dt=2024-01-01> +I[
USE CATALOG hms;
USE dwd;
CREATE VIEW IF NOT EXISTS v AS SELECT s.id, s.name, d.city FROM src AS s LEFT JOIN hms.dwd.dim FOR SYSTEM_TIME AS OF s.pt AS d ON s.id = d.id;
CREATE TABLE mine (id BIGINT) WITH ('connector'='kafka');
INSERT OVERWRITE dwd_out PARTITION (dt = '2024-01-01') SELECT id, name FROM v;
EXECUTE STATEMENT SET BEGIN
  INSERT INTO again SELECT id FROM mine;
  INSERT INTO mine SELECT id FROM `hms`.`dwd`.`again`;
END;
DROP TABLE mine;
DROP TABLE IF EXISTS again;
DROP TABLE dwd_out;
CREATE TABLE copied WITH ('connector'='kafka') AS SELECT id FROM src;
CREATE TABLE liked WITH ('connector'='kafka') LIKE src (INCLUDING ALL);
SELECT id FROM liked WHERE pt IS NOT NULL;
ALTER TABLE src SET ('x' = 'y');
