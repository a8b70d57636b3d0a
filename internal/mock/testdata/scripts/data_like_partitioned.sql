-- A file has no partitions, neither of the table itself nor of the one it is LIKE, which still is written with them.
--! since 1.15
--! data l=users.csv
--! data l2=users.csv
--! prints s> +I[1, Ann]
--! prints t:dt=d> +I[2, Bob, d]
--! prints t:dt=e> +I[1, Ann, e]
CREATE TABLE t0 (id INT, name STRING, dt STRING) PARTITIONED BY (dt) WITH ('connector'='filesystem','format'='csv');
CREATE TABLE t (id INT, name STRING, dt STRING) PARTITIONED BY (dt) WITH ('connector'='filesystem','format'='csv');
CREATE TABLE l LIKE t0;
CREATE TABLE l2 LIKE t (INCLUDING PARTITIONS EXCLUDING OPTIONS);
CREATE TABLE s (id INT, name STRING) WITH ('connector'='kafka');
INSERT INTO s SELECT id, name FROM l;
INSERT INTO t PARTITION (dt = 'd') SELECT id, name FROM l2;
INSERT INTO t PARTITION (dt = 'e') SELECT id, name FROM l;
