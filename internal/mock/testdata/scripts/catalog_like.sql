--! since 1.16
--! setup CREATE CATALOG c WITH ('type' = 'generic_in_memory');
--! catalog c.default.k CREATE TABLE `c`.`default`.`k` (`id` INT NOT NULL, `n` BIGINT METADATA FROM 'offset' VIRTUAL, `ts` TIMESTAMP(3) WITH LOCAL TIME ZONE METADATA FROM 'timestamp', WATERMARK FOR `ts` AS `ts`) WITH ('connector' = 'kafka', 'topic' = 't')
--! prints written> +I[
USE CATALOG c;
CREATE TABLE read_too WITH ('connector' = 'kafka') LIKE k;
CREATE TABLE written WITH ('connector' = 'kafka') LIKE k (EXCLUDING WATERMARKS);
CREATE TABLE bare (other INT, `at` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp') WITH ('connector' = 'kafka') LIKE k (EXCLUDING ALL);
INSERT INTO written SELECT r.id, r.ts FROM read_too AS r;
INSERT INTO written SELECT other, `at` FROM bare;
