--! since 1.16
--! prints o> +I[
CREATE TABLE s (
  `event_time` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  `partition` BIGINT METADATA VIRTUAL,
  `offset` BIGINT METADATA, headers MAP<STRING, BYTES> METADATA,
  `leader-epoch` INT METADATA VIRTUAL COMMENT 'x',
  id INT NOT NULL COMMENT 'the ''id''', doubled AS id * 2 COMMENT 'twice, really',
  WATERMARK FOR event_time AS event_time - INTERVAL '0.5' SECOND
) COMMENT 'source' WITH ('connector'='kafka');
CREATE TABLE o (id INT, t TIMESTAMP_LTZ(3) METADATA FROM 'timestamp', h MAP<STRING, BYTES> METADATA FROM 'headers', p BIGINT METADATA FROM 'partition' VIRTUAL) WITH ('connector'='kafka');
INSERT INTO o SELECT doubled, event_time, headers FROM s;
