-- Prepares the session of this job. Written by flink-entrypoint at each start: edits are lost.

-- settings
RESET 'parallelism.default';

SET 'pipeline.name' = U&'it''s; -\002d a job';

SET 'table.exec.state.ttl' = '1 h';

SET 's3.secret-key' = 'CANARY-1';

SET 'note' = U&'two\000alines';

SET 'execution.x' = 'CANARY-2';

-- jars of the job
ADD JAR '/opt/my jars/hive''s.jar';

-- module `hive`
LOAD MODULE `hive` WITH (
  'hive-version' = '3.1.3'
);

-- order in which modules resolve functions
USE MODULES `hive`, `core`;

-- catalog `ods`
CREATE CATALOG `ods` WITH (
  'type' = 'hive',
  'hive-conf-dir' = '/etc/hive'
);

-- catalog `my``db`
CREATE CATALOG IF NOT EXISTS `my``db` COMMENT 'the DB' WITH (
  'type' = 'jdbc',
  'password' = 'CANARY-3',
  'base-url' = 'jdbc:mysql://u:CANARY-4@h:1/',
  'x' = 'jdbc:h?user=a&password=CANARY-5',
  'username' = 'CANARY-6'
);

-- catalog `dim`, from its stored statement
CREATE CATALOG `dim` WITH (
  'type' = 'generic_in_memory',
  'a.password' = 'CANARY-9'
);

-- catalog 4, from its stored statement
CREATE CATALOG `CANARY10` WITH (
  'type' = 'CANARY-11'
);

-- where names without a catalog or database are looked up
USE CATALOG `ods`;

USE `default`;

-- function `parse_ua`
CREATE TEMPORARY SYSTEM FUNCTION `parse_ua` AS 'com.example.ParseUa' USING JAR '/run/udf-1.2.jar', JAR '/run/b.jar';

-- function `my.cat`.`db`.`f`
CREATE TEMPORARY FUNCTION `my.cat`.`db`.`f` AS 'com.example.F';

-- function `g`
CREATE FUNCTION IF NOT EXISTS `g` AS 'm.g' LANGUAGE PYTHON;

-- the SQL dialect of the script, last because it rules how statements are read
SET 'table.sql-dialect' = 'default';
