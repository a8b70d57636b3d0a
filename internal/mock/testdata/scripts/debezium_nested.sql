CREATE TABLE s (
  op STRING,
  before ROW<id BIGINT, name STRING, tags ARRAY<STRING>>,
  after ROW<id BIGINT, name STRING, addr ROW<city STRING, zip CHAR(5)>>,
  source MAP<STRING, STRING>,
  ts_ms BIGINT,
  event_time AS TO_TIMESTAMP_LTZ(ts_ms, 3),
  WATERMARK FOR event_time AS event_time
) WITH ('connector'='kafka');
SELECT s.after.id, s.after.addr.city, s.source['db'], t.tag FROM s CROSS JOIN UNNEST(s.before.tags) AS t (tag);
