--! since 1.17
--! absent paimon
--! prints word_count> +I[
--! prints my_copy> +I[
CREATE CATALOG my_catalog WITH (
  'type'='paimon',
  'warehouse'='file:/tmp/paimon'
);
USE CATALOG my_catalog;
CREATE TABLE word_count (
    word STRING PRIMARY KEY NOT ENFORCED,
    cnt BIGINT
);
CREATE TEMPORARY TABLE word_table (word STRING) WITH ('connector' = 'datagen', 'fields.word.length' = '1');
INSERT INTO word_count SELECT word, COUNT(*) FROM word_table GROUP BY word;
SELECT `interval`, COUNT(*) AS interval_cnt FROM (SELECT cnt / 10000 AS `interval` FROM word_count /*+ OPTIONS('scan.mode'='latest') */) GROUP BY `interval`;
SELECT * FROM `word_count$snapshots`;
CREATE DATABASE IF NOT EXISTS ods;
USE ods;
CREATE TABLE part (id INT, dt STRING, PRIMARY KEY (id, dt) NOT ENFORCED) PARTITIONED BY (dt) WITH ('bucket' = '4');
CREATE TABLE my_copy AS SELECT * FROM part;
CREATE TABLE my_like LIKE part (EXCLUDING OPTIONS);
INSERT OVERWRITE part PARTITION (dt = '2024-01-01') SELECT id FROM my_like;
ALTER TABLE part SET ('write-buffer-size' = '256 MB');
ALTER TABLE part ADD PARTITION (dt = '1');
ALTER TABLE part DROP PARTITION (dt = '1');
ALTER TABLE my_like ADD (c1 INT, c2 STRING);
ALTER TABLE stranger ADD c1 INT;
CALL sys.compact('ods.part');
DELETE FROM part WHERE id = 1;
UPDATE part SET id = 2 WHERE id = 1;
TRUNCATE TABLE part;
SHOW TABLES;
SHOW PROCEDURES;
DESCRIBE stranger;
SHOW CREATE TABLE my_catalog.dwd.stranger;
SHOW TABLES FROM dwd;
INSERT INTO dwd.stranger (a) SELECT id FROM part;
INSERT INTO part SELECT id, name FROM stranger;
CREATE VIEW v AS SELECT * FROM stranger WHERE id > 1;
INSERT INTO my_like (id, dt) SELECT id, dt FROM v;
CREATE TABLE of_stranger LIKE dwd.stranger;
INSERT INTO of_stranger SELECT 1;
EXECUTE STATEMENT SET BEGIN
  INSERT INTO part SELECT id, dt FROM v; /* ; */
  INSERT INTO part SELECT id, dt FROM my_like;
  INSERT INTO stranger SELECT 1
  ;
END;
EXECUTE STATEMENT SET BEGIN INSERT INTO stranger SELECT 1; END;
EXPLAIN INSERT INTO stranger SELECT 1;
DROP VIEW IF EXISTS v;
DROP TABLE stranger;
DROP TABLE IF EXISTS part;
DROP DATABASE other CASCADE;
