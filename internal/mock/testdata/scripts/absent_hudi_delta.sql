--! since 1.16
--! absent hudi delta-catalog jdbc hive
--! plan
CREATE CATALOG hoodie WITH ('type' = 'hudi', 'mode' = 'hms', 'catalog.path' = 'hdfs:///hudi', 'table.external' = 'true');
CREATE DATABASE hoodie.lake;
CREATE TABLE hoodie.lake.t1 (uuid VARCHAR(20) PRIMARY KEY NOT ENFORCED, name VARCHAR(10), ts TIMESTAMP(3), `partition` VARCHAR(20)) PARTITIONED BY (`partition`) WITH ('table.type' = 'MERGE_ON_READ');
INSERT INTO hoodie.lake.t1 VALUES ('id1', 'Danny', TIMESTAMP '1970-01-01 00:00:01', 'par1');
SELECT * FROM hoodie.lake.t1;
CALL hoodie.lake.show_commits('t1');
CREATE CATALOG c_delta WITH ('type' = 'delta-catalog', 'catalog-type' = 'in-memory');
USE CATALOG c_delta;
CREATE TABLE test_table (id BIGINT, data STRING) PARTITIONED BY (data) WITH ('connector' = 'delta', 'table-path' = '/x');
INSERT INTO test_table SELECT 1, 'x';
CREATE CATALOG pg WITH ('type' = 'jdbc', 'default-database' = 'postgres', 'username' = 'u', 'password' = 'p', 'base-url' = 'jdbc:postgresql://h:5432');
INSERT INTO test_table SELECT user_id, user_name FROM pg.postgres.`public.users`;
INSERT INTO pg.postgres.`public.users` SELECT id, nam FROM (SELECT id, data AS nam FROM test_table);
LOAD MODULE hive WITH ('hive-version' = '3.1.3');
USE MODULES hive, core;
INSERT INTO test_table SELECT id, UPPER(data) FROM test_table;
UNLOAD MODULE hive;
