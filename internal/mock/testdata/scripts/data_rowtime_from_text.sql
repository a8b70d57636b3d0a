-- The rowtime is that of the file, though datagen could not make it.
--! data ev=visits.json
--! data ev2=visits.json
--! prints s2> +I[2024-05-01T10:00:10]
--! prints s> +I[1, 2024-05-01T10:00, 2]
--! prints s> +I[1, 2024-05-01T10:03, 1]
CREATE TABLE ev (id INT, evt STRING, rt AS TO_TIMESTAMP(evt), WATERMARK FOR rt AS rt - INTERVAL '5' SECOND) WITH ('connector'='kafka','format'='json');
CREATE TABLE s (id INT, ws TIMESTAMP(3), n BIGINT) WITH ('connector'='kafka');
INSERT INTO s SELECT id, window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(rt), INTERVAL '1' MINUTE)) GROUP BY id, window_start, window_end;
CREATE TABLE base (id INT, evt STRING, rt AS TO_TIMESTAMP(evt), WATERMARK FOR rt AS rt) WITH ('connector'='kafka');
CREATE TABLE ev2 LIKE base;
CREATE TABLE s2 (rt TIMESTAMP(3)) WITH ('connector'='kafka');
INSERT INTO s2 SELECT rt FROM ev2;
