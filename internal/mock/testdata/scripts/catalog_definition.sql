--! since 1.16
--! setup CREATE CATALOG c WITH ('type' = 'generic_in_memory');
--! catalog c.default.k CREATE TABLE `c`.`default`.`k` (`id` INT NOT NULL, `v` VARCHAR(2147483647), `ts` TIMESTAMP(3) WITH LOCAL TIME ZONE METADATA FROM 'timestamp', `pt` AS PROCTIME(), WATERMARK FOR `ts` AS `ts`, CONSTRAINT `PK_id` PRIMARY KEY (`id`) NOT ENFORCED) WITH ('connector' = 'kafka', 'topic' = 't')
--! catalog c.default.out CREATE TABLE `c`.`default`.`out` (`id` INT, `n` BIGINT METADATA VIRTUAL, `v` VARCHAR(2147483647)) WITH ('connector' = 'kafka')
--! prints out> +I[
USE CATALOG c;
CREATE VIEW v AS SELECT id, v FROM k WHERE ts > TO_TIMESTAMP_LTZ(0, 3);
INSERT INTO `c`.`default`.`out` SELECT id, v FROM v;
