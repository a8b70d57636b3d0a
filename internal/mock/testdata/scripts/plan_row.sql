-- Flink 2.1 cannot convert the NULL of such a row.
--! plan
--! since 2.2
CREATE TABLE rw (a INT, v ROW<x ARRAY<VARIANT>>) WITH ('connector'='kafka');
INSERT INTO rw SELECT a, v FROM rw;
