--! prints row> +I[2024-01-01T00:0
CREATE TABLE s (id INT, ts_ms BIGINT, ts AS TO_TIMESTAMP(FROM_UNIXTIME(ts_ms / 1000, 'yyyy-MM-dd HH:mm:ss')), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='kafka');
CREATE TABLE s2 (id INT, p ROW<sec BIGINT>, ts AS TO_TIMESTAMP_LTZ(p.sec, 0), WATERMARK FOR ts AS ts) WITH ('connector'='kafka');
CREATE TABLE s3 (id INT, sec INT, ts AS TO_TIMESTAMP(FROM_UNIXTIME(sec)), WATERMARK FOR ts AS ts) WITH ('connector'='kafka');
CREATE TABLE s4 (us BIGINT, ts AS TO_TIMESTAMP_LTZ(us / 1000, 3), WATERMARK FOR ts AS ts) WITH ('connector'='kafka');
SET 'table.local-time-zone' = 'UTC';
SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;
SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE s2, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;
SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE s3, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;
SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE s4, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;
