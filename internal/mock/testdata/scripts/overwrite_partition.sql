--! prints dwd_out:dt=2024-01-01> +I[
CREATE CATALOG hms WITH ('type' = 'generic_in_memory');
USE CATALOG hms;
CREATE DATABASE IF NOT EXISTS dwd;
USE dwd;
CREATE TABLE src (id BIGINT, name STRING) WITH ('connector'='kafka');
CREATE TABLE dwd_out (id BIGINT, name STRING, dt STRING) PARTITIONED BY (dt) WITH ('connector'='filesystem', 'path'='hdfs:///x', 'format'='parquet');
INSERT OVERWRITE dwd_out PARTITION (dt = '2024-01-01') SELECT id, name FROM hms.dwd.src;
