--! data users=users.csv
--! data default_catalog.default_database.events=events.json
--! prints +U[1, Ann, 3]
CREATE TABLE users (id INT, name STRING, dt STRING) PARTITIONED BY (dt) WITH ('connector'='jdbc');
CREATE TABLE events (uid INT, ts TIMESTAMP(3) METADATA FROM 'timestamp', pt AS PROCTIME(), WATERMARK FOR ts AS ts) WITH ('connector'='kafka');
SELECT u.id, u.name, COUNT(*) FROM events AS e JOIN users FOR SYSTEM_TIME AS OF e.pt AS u ON e.uid = u.id WHERE u.id = 1 GROUP BY u.id, u.name;
