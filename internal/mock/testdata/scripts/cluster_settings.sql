SET 'execution.checkpointing.interval' = '1 min';
SET 'state.checkpoints.dir' = 's3://bucket/checkpoints';
SET 'parallelism.default' = '64';
SET 'table.exec.mini-batch.enabled' = 'true';
SET 'table.exec.mini-batch.allow-latency' = '1 s';
SET 'table.exec.mini-batch.size' = '100';
CREATE TABLE s (id INT, v INT) WITH ('connector'='kafka');
CREATE TABLE o (id INT, v BIGINT, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector'='jdbc');
INSERT INTO o SELECT id, SUM(v) FROM s GROUP BY id;
