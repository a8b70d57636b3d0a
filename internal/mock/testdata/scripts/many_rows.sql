--! rows 500
--! prints row> +I[500]
CREATE TABLE s (id TINYINT, v SMALLINT, k INT, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector'='kafka');
CREATE TABLE p (id VARCHAR(2), v DECIMAL(3,0), PRIMARY KEY (id) NOT ENFORCED) WITH ('connector'='kafka');
SET 'execution.runtime-mode' = 'batch';
SELECT COUNT(*) FROM s;
SELECT COUNT(*) FROM p;
