--! prints t> +I[
CREATE TABLE t (id INT, v STRING, off BIGINT METADATA FROM 'offset' VIRTUAL, ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp', PRIMARY KEY (id) NOT ENFORCED) WITH ('connector'='upsert-kafka');
CREATE TABLE s (id INT, v STRING) WITH ('connector'='kafka');
CREATE TABLE o (id INT, v STRING, off BIGINT) WITH ('connector'='kafka');
INSERT INTO t SELECT id, v, CURRENT_TIMESTAMP FROM s;
INSERT INTO o SELECT id, v, off FROM t;
