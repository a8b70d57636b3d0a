CREATE TABLE `a.b` (`a.b` INT, `c``d` STRING, `中文 名` INT, `select` STRING, `x y` ROW<`p.q` INT, `r s` STRING>) WITH ('connector'='kafka');
CREATE TABLE `it's` (`a` INT, `b` STRING) WITH ('connector'='kafka');
INSERT INTO `it's` SELECT `a.b`, `c``d` FROM `a.b` AS `from`;
CREATE TABLE 表 (编号 INT, 名称 STRING) WITH ('connector'='kafka');
INSERT INTO 表 SELECT `中文 名`, `select` FROM `a.b`;
