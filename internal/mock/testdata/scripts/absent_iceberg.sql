--! since 1.16
--! absent iceberg
--! prints new_sample> +I[
--! prints shop.clicks> +I[
CREATE CATALOG hive_catalog WITH (
  'type'='iceberg',
  'catalog-type'='hive',
  'uri'='thrift://localhost:9083',
  'clients'='5',
  'property-version'='1',
  'default-database'='it''s',
  'warehouse'='hdfs://nn:8020/warehouse/path'
);
USE CATALOG hive_catalog;
CREATE TABLE in_default (id BIGINT);
CREATE DATABASE iceberg_db;
USE iceberg_db;
CREATE TABLE `hive_catalog`.`default`.`sample` (
    id BIGINT COMMENT 'unique id',
    data STRING NOT NULL
) PARTITIONED BY (data) WITH ('format-version'='2');
CREATE TABLE sample_like LIKE `hive_catalog`.`default`.`sample`;
USE `default`;
ALTER TABLE sample SET ('write.format.default'='avro');
ALTER TABLE `hive_catalog`.`default`.`sample` RENAME TO new_sample;
CREATE TABLE `hive_catalog`.`shop`.`clicks` (id BIGINT, data STRING, PRIMARY KEY(id) NOT ENFORCED);
CREATE DATABASE shop;
CREATE TABLE default_catalog.default_database.clicks (id BIGINT) WITH ('connector' = 'kafka');
INSERT INTO new_sample VALUES (1, 'a');
INSERT OVERWRITE new_sample PARTITION(data='a') SELECT 6;
INSERT INTO shop.clicks /*+ OPTIONS('upsert-enabled'='true') */ SELECT id, 'x' FROM default_catalog.default_database.clicks;
SELECT * FROM new_sample /*+ OPTIONS('streaming'='true', 'monitor-interval'='1s')*/ ;
SELECT * FROM `hive_catalog`.`default`.`new_sample$history`;
