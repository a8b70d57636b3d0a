CREATE TABLE a (id INT, at1 TIMESTAMP(3), WATERMARK FOR at1 AS at1) WITH ('connector'='kafka');
CREATE TABLE b (id INT, bt TIMESTAMP(3), WATERMARK FOR bt AS bt) WITH ('connector'='kafka');
SELECT a.id, b.bt FROM a, b WHERE a.id = b.id AND a.at1 BETWEEN b.bt - INTERVAL '1' HOUR AND b.bt + INTERVAL '1' HOUR;
