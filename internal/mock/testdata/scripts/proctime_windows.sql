CREATE TABLE s (id INT, pt AS PROCTIME()) WITH ('connector'='kafka');
SELECT COUNT(*) FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(pt), INTERVAL '1' SECOND)) GROUP BY window_start, window_end;
