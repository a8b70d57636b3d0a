CREATE TABLE s (user_id STRING, amt VARCHAR(20), d STRING, code CHAR(3)) WITH ('connector'='kafka');
SELECT CAST(user_id AS BIGINT), CAST(s.amt AS DECIMAL(10, 2)), CAST(d AS DATE) FROM s;
