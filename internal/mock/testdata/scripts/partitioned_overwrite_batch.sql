--! batch
--! prints t:dt=2024-01-01>
CREATE TABLE s (id INT, name STRING, dt STRING) PARTITIONED BY (dt) WITH ('connector'='filesystem', 'path'='s3://x', 'format'='orc');
CREATE TABLE t (id INT, name STRING, dt STRING) PARTITIONED BY (dt) WITH ('connector'='filesystem', 'path'='s3://y', 'format'='orc');
INSERT OVERWRITE t PARTITION (dt = '2024-01-01') SELECT id, name FROM s WHERE dt IS NOT NULL;
