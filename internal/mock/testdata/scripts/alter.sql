--! since 1.17
CREATE TABLE t (id INT, v STRING) WITH ('connector'='kafka');
ALTER TABLE t SET ('scan.startup.mode' = 'latest-offset');
ALTER TABLE t ADD (w INT);
ALTER TABLE t RENAME TO t2;
ALTER TABLE t2 RESET ('topic');
SELECT id, w FROM t2;
