--! prints b> +I[
--! prints c> +I[
CREATE TABLE a (id INT, k STRING) WITH ('connector'='kafka');
CREATE TABLE b (id INT) WITH ('connector'='kafka');
CREATE TABLE c (k STRING, n BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector'='upsert-kafka');
EXECUTE STATEMENT SET
BEGIN
  INSERT INTO b /*+ OPTIONS('sink.parallelism'='4') */ SELECT id FROM a;
  -- second
  INSERT INTO c
  SELECT k, COUNT(*) FROM a /*+ OPTIONS('scan.startup.mode'='latest-offset') */ GROUP BY k;
END;
