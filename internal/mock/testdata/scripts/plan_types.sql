-- Types that datagen cannot make are planned all the same.
--! plan
--! since 2.1
CREATE TABLE src (a INT, v VARIANT NOT NULL COMMENT 'x', m MULTISET<VARIANT>, h MAP<STRING, VARIANT> METADATA FROM 'headers') WITH ('connector'='kafka');
CREATE TABLE t (a INT, v VARIANT) WITH ('connector'='kafka');
CREATE TABLE s LIKE t;
CREATE TABLE rw (a INT, v ARRAY<VARIANT>) WITH ('connector'='kafka');
INSERT INTO s SELECT a, v FROM src WHERE m IS NOT NULL AND h IS NOT NULL;
INSERT INTO rw SELECT a, v FROM rw;
SELECT v FROM t;
